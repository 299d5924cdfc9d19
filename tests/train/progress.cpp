#include <mpx_test.hpp>

#include <cstdio>
#include <limits>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <mpx/train/progress.hpp>

using mpx::progress;
using mpx::progress_line;

namespace {

double now = 0;
double clock_of_test() { return now; }

/// What is written to a plain file.
struct plain_file {
  std::FILE* file = std::tmpfile();
  ~plain_file() { std::fclose(file); }
  std::string text() const {
    std::fflush(file);
    std::string all(static_cast<std::size_t>(std::ftell(file)), '\0');
    std::rewind(file);
    all.resize(std::fread(all.data(), 1, all.size(), file));
    return all;
  }
};

/// A terminal of 40 columns whose other end the test reads.
struct terminal {
  int reader = posix_openpt(O_RDWR | O_NOCTTY);
  std::FILE* file = nullptr;

  terminal() {
    REQUIRE(reader >= 0);
    REQUIRE(grantpt(reader) == 0);
    REQUIRE(unlockpt(reader) == 0);
    file = std::fopen(ptsname(reader), "w");
    REQUIRE(file != nullptr);
    winsize size{};
    size.ws_row = 24;
    size.ws_col = 40;
    REQUIRE(ioctl(reader, TIOCSWINSZ, &size) == 0);
  }
  ~terminal() {
    std::fclose(file);
    close(reader);
  }
  /// All up to the line end. A terminal hands its bytes on when it likes: the reader waits for them, but not forever.
  std::string text() const {
    std::string all;
    pollfd waiting{reader, POLLIN, 0};
    for (char byte = 0; byte != '\n' && poll(&waiting, 1, 10'000) == 1 && read(reader, &byte, 1) == 1;) all += byte;
    return all;
  }
};

}  // namespace

TEST_CASE("progress_line tells all that is known", "[train][progress]") {
  CHECK(progress_line({.step = 50,
                       .steps = 400,
                       .epoch = 2,
                       .epochs = 10,
                       .loss = 1.23456,
                       .tokens_per_second = 31234,
                       .learning_rate = 0.001,
                       .gradient_norm = 0.526,
                       .seconds_left = 83}) ==
        "epoch 2/10  step 50/400  loss 1.2346  31.2k tokens/s  lr 1.0e-03  norm 0.53  left 1:23");
}

TEST_CASE("progress_line leaves out what is not known", "[train][progress]") {
  CHECK(progress_line({.step = 3, .loss = 2, .learning_rate = 0.5}) == "step 3  loss 2.0000  lr 5.0e-01");
  CHECK(progress_line({.step = 3, .epoch = 1, .loss = 2, .learning_rate = 0.5}) ==
        "epoch 1  step 3  loss 2.0000  lr 5.0e-01");
}

TEST_CASE("progress_line shows a norm and a loss that are no numbers", "[train][progress]") {
  double const infinity = std::numeric_limits<double>::infinity();
  CHECK(progress_line({.step = 1, .loss = infinity, .learning_rate = 0.5, .gradient_norm = infinity}) ==
        "step 1  loss inf  lr 5.0e-01  norm inf");
}

TEST_CASE("progress_line keeps large rates and long times short", "[train][progress]") {
  CHECK(mpx::detail::short_number(950) == "950");
  CHECK(mpx::detail::short_number(999.6) == "1.0k");
  CHECK(mpx::detail::short_number(4'560'000) == "4.56M");
  CHECK(mpx::detail::short_time(0) == "0:00");
  CHECK(mpx::detail::short_time(59.6) == "1:00");
  CHECK(mpx::detail::short_time(3 * 3600 + 2 * 60 + 1) == "3:02:01");
}

TEST_CASE("progress writes plain lines that do not come too often, the first and the last always",
          "[train][progress]") {
  plain_file out;
  now = 100;
  {
    progress shown(out.file, 5, clock_of_test);
    for (std::size_t step = 1; step <= 13; ++step, now += 1) shown.show({.step = step, .loss = 1, .learning_rate = 1});
  }
  CHECK(out.text() ==
        "step 1  loss 1.0000  lr 1.0e+00\n"
        "step 6  loss 1.0000  lr 1.0e+00\n"
        "step 11  loss 1.0000  lr 1.0e+00\n"
        "step 13  loss 1.0000  lr 1.0e+00\n");
}

TEST_CASE("progress estimates the time left from its own clock", "[train][progress]") {
  plain_file out;
  now = 100;
  {
    progress shown(out.file, 0, clock_of_test);
    shown.show({.step = 10, .steps = 30, .loss = 1, .learning_rate = 1});
    now += 20;  // ten steps in 20 s: the other ten take 20 s more
    shown.show({.step = 20, .steps = 30, .loss = 1, .learning_rate = 1});
  }
  CHECK(out.text() ==
        "step 10/30  loss 1.0000  lr 1.0e+00\n"
        "step 20/30  loss 1.0000  lr 1.0e+00  left 0:20\n");
}

TEST_CASE("progress shows a report once, however often it finishes", "[train][progress]") {
  plain_file out;
  {
    progress shown(out.file, 5, clock_of_test);
    shown.finish();
    shown.show({.step = 1, .loss = 1, .learning_rate = 1});
    shown.finish();
    shown.finish();
    shown.show({.step = 2, .loss = 1, .learning_rate = 1});
  }
  CHECK(out.text() == "step 1  loss 1.0000  lr 1.0e+00\nstep 2  loss 1.0000  lr 1.0e+00\n");
}

TEST_CASE("progress redraws one line of a terminal, cut to its width", "[train][progress]") {
  terminal out;
  {
    progress shown(out.file, 0, clock_of_test);
    shown.show({.step = 1, .loss = 1, .learning_rate = 1});
    shown.show({.step = 2, .loss = 1, .learning_rate = 1, .gradient_norm = 1.5});
  }
  CHECK(out.text() ==
        "\rstep 1  loss 1.0000  lr 1.0e+00\x1b[K"
        "\rstep 2  loss 1.0000  lr 1.0e+00  norm 1\x1b[K\r\n");
}

/// @file
/// How training goes, on one line of a terminal.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>

#include <sys/ioctl.h>
#include <unistd.h>

namespace mpx {

/// What a progress line tells. A number that is not known stays as it is here, and is left out.
struct progress_report {
  std::size_t step = 0;  ///< steps done
  std::size_t steps = 0;
  std::size_t epoch = 0;  ///< counted from 1
  std::size_t epochs = 0;
  double loss = 0;
  double tokens_per_second = 0;
  double learning_rate = 0;
  double gradient_norm = -1;
  double seconds_left = -1;
};

namespace detail {

template <class... Numbers>
[[nodiscard]] std::string formatted(char const* form, Numbers... numbers) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), form, numbers...);
  return text.data();
}

/// 950, 12.3k, 4.56M
[[nodiscard]] inline std::string short_number(double value) {
  if (value < 999.5) return formatted("%.0f", value);
  return value < 999.5e3 ? formatted("%.1fk", value / 1e3) : formatted("%.2fM", value / 1e6);
}

/// 0:07, 12:34, 3:02:01
[[nodiscard]] inline std::string short_time(double seconds) {
  auto const all = static_cast<unsigned long long>(std::min(seconds, 1e9) + 0.5);
  return all < 3600 ? formatted("%llu:%02llu", all / 60, all % 60)
                    : formatted("%llu:%02llu:%02llu", all / 3600, all / 60 % 60, all % 60);
}

[[nodiscard]] inline std::string part_of(char const* label, std::size_t done, std::size_t all) {
  return label + (' ' + std::to_string(done)) + (all > 0 ? '/' + std::to_string(all) : "");
}

}  // namespace detail

/// The report as text, without a line end: "epoch 2/10  step 50/400  loss 1.2345  31.2k tokens/s  lr 1.0e-03  norm 0.53
/// left 1:23" on one line.
[[nodiscard]] inline std::string progress_line(progress_report const& now) {
  std::string line;
  if (now.epoch > 0) line += detail::part_of("epoch", now.epoch, now.epochs) + "  ";
  line += detail::part_of("step", now.step, now.steps) + detail::formatted("  loss %.4f", now.loss);
  if (now.tokens_per_second > 0) line += "  " + detail::short_number(now.tokens_per_second) + " tokens/s";
  line += detail::formatted("  lr %.1e", now.learning_rate);
  if (!(now.gradient_norm < 0)) line += detail::formatted("  norm %.2f", now.gradient_norm);
  if (now.seconds_left >= 0) line += "  left " + detail::short_time(now.seconds_left);
  return line;
}

/// Shows reports: redrawn in place on a terminal, else as plain lines that do not come too often. The first report is
/// always shown, and so is the last.
class progress {
 public:
  using clock = double (*)();  ///< seconds since any moment

  /// Units   seconds between two lines; 0.1 on a terminal, 5 elsewhere where left out
  explicit progress(std::FILE* out = stdout, double every_seconds = -1, clock now = steady_seconds)
      : out_(out), terminal_(isatty(fileno(out)) == 1), now_(now) {
    every_ = every_seconds >= 0 ? every_seconds : terminal_ ? 0.1 : 5.0;
  }
  progress(progress const&) = delete;
  progress& operator=(progress const&) = delete;
  ~progress() { finish(); }

  /// The time left is estimated from the reports so far where the report does not know it.
  void show(progress_report report) {
    double const now = now_();
    if (!begun_) {
      begun_ = true;
      first_step_ = report.step;
      first_time_ = now;
    } else if (report.seconds_left < 0 && report.steps > report.step && report.step > first_step_) {
      report.seconds_left = (now - first_time_) / static_cast<double>(report.step - first_step_) *
                            static_cast<double>(report.steps - report.step);
    }
    last_ = report;
    pending_ = true;
    if (drawn_ && now - drawn_time_ < every_) return;
    drawn_time_ = now;
    draw();
  }

  /// Shows the last report if it is not to be seen yet, and leaves the line. Another show() begins a new one.
  void finish() {
    if (pending_) draw();
    if (drawn_ && terminal_) std::fputc('\n', out_);
    std::fflush(out_);
    drawn_ = begun_ = false;
  }

 private:
  [[nodiscard]] static double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  void draw() {
    std::string line = progress_line(last_);
    if (terminal_) {
      // A line wider than the terminal would wrap, and a wrapped line cannot be redrawn.
      winsize size{};
      if (ioctl(fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
        line.resize(std::min<std::size_t>(line.size(), size.ws_col - 1u));
      std::fprintf(out_, "\r%s\x1b[K", line.c_str());
    } else {
      std::fprintf(out_, "%s\n", line.c_str());
    }
    std::fflush(out_);
    pending_ = false;
    drawn_ = true;
  }

  std::FILE* out_;
  bool terminal_;
  clock now_;
  double every_ = 0;
  bool begun_ = false;
  std::size_t first_step_ = 0;
  double first_time_ = 0;
  progress_report last_;
  bool pending_ = false;
  bool drawn_ = false;
  double drawn_time_ = 0;
};

}  // namespace mpx

#include <mpx_test.hpp>

#include <mpx/io/utf8.hpp>

using mpx::utf8_fault;
constexpr auto none = std::string_view::npos;

static_assert(utf8_fault("") == none);
static_assert(utf8_fault("abc") == none);
static_assert(utf8_fault("ab\xff") == 2);

TEST_CASE("utf8_fault accepts characters of one to four bytes", "[io][utf8]") {
  CHECK(utf8_fault("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") == none);  // a, e acute, euro, a face
  CHECK(utf8_fault("\xc2\x80\xdf\xbf") == none);                       // the first and last of two bytes
  CHECK(utf8_fault("\xe0\xa0\x80\xef\xbf\xbf") == none);
  CHECK(utf8_fault("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf") == none);
}

TEST_CASE("utf8_fault names the byte that begins no character", "[io][utf8]") {
  CHECK(utf8_fault("ab\x80") == 2);                // a continuation without its lead
  CHECK(utf8_fault("ab\xc3") == 2);                // cut off
  CHECK(utf8_fault("ab\xe2\x82") == 2);
  CHECK(utf8_fault("\xc0\xaf") == 0);              // '/' in two bytes
  CHECK(utf8_fault("\xe0\x9f\xbf") == 0);          // two bytes' worth in three
  CHECK(utf8_fault("\xf0\x8f\xbf\xbf") == 0);      // three bytes' worth in four
  CHECK(utf8_fault("x\xed\xa0\x80") == 1);         // a surrogate
  CHECK(utf8_fault("\xf4\x90\x80\x80") == 0);      // above U+10FFFF
  CHECK(utf8_fault("\xf5\x80\x80\x80") == 0);
  CHECK(utf8_fault("\xe2\x28\xa1") == 0);          // the second byte is no continuation
  CHECK(utf8_fault("\xe2\x82\x28") == 0);          // nor is the third
}

TEST_CASE("utf8_characters cuts between characters, not inside them", "[io][utf8]") {
  CHECK(mpx::utf8_characters("a\xc3\xa9" "b") == std::vector<std::string_view>{"a", "\xc3\xa9", "b"});
  CHECK(mpx::utf8_characters("a\x80") == std::vector<std::string_view>{"a", "\x80"});
  CHECK(mpx::utf8_characters("").empty());
}

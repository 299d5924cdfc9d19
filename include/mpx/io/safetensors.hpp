/// @file
/// Named tensors in a file, in the safetensors format.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include <mpx/core/dtype.hpp>
#include <mpx/core/error.hpp>

namespace mpx {

static_assert(std::endian::native == std::endian::little, "mpx::safetensors requires its machine to be little-endian");

/// How an element is stored. Real numbers are f32 in memory, whole numbers i32.
enum class stored_type : unsigned char { f32, bf16, f16, i32, i64 };

namespace detail {

struct stored_format {
  char const* label;
  std::size_t size;
  bool whole;
};

[[nodiscard]] constexpr stored_format format_of(stored_type type) {
  constexpr std::array<stored_format, 5> formats{
      {{"F32", 4, false}, {"BF16", 2, false}, {"F16", 2, false}, {"I32", 4, true}, {"I64", 8, true}}};
  return formats[static_cast<std::size_t>(type)];
}

}  // namespace detail

/// A tensor by name. Of `values` and `integers` one is filled, as `type` says.
/// Shapes  row-major, the product of `shape` is the number of elements
struct named_tensor {
  std::string name;
  stored_type type = stored_type::f32;
  std::vector<std::size_t> shape;
  std::vector<float> values{};
  std::vector<std::int32_t> integers{};
};

/// What a file of tensors holds.
struct tensor_file {
  std::vector<named_tensor> tensors;            ///< in the order of their bytes
  std::map<std::string, std::string> metadata;  ///< texts beside the tensors
  std::string origin;                           ///< the file, for error messages

  [[nodiscard]] named_tensor const* find(std::string_view name) const {
    for (auto const& one : tensors)
      if (one.name == name) return &one;
    return nullptr;
  }

  /// Errors  throws mpx::error when there is no tensor of this name
  [[nodiscard]] named_tensor const& at(std::string_view name) const {
    if (auto const* found = find(name)) return *found;
    throw error{{.what = "no such tensor",
                 .where = origin,
                 .expected = "tensor " + std::string(name),
                 .got = std::to_string(tensors.size()) + " others"}};
  }
};

namespace detail {

[[nodiscard]] inline std::string shape_text(std::vector<std::size_t> const& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

/// Bytes of a tensor; false where the product does not fit.
[[nodiscard]] inline bool stored_bytes(std::vector<std::size_t> const& shape, stored_type type, std::size_t& bytes) {
  bytes = format_of(type).size;
  if (std::find(shape.begin(), shape.end(), 0u) != shape.end()) bytes = 0;
  for (auto extent : shape)
    if (bytes > 0 && __builtin_mul_overflow(bytes, extent, &bytes)) return false;
  return true;
}

/// One reading of a file: each check has its own sentence, and nothing is returned before all have passed.
class tensor_reader {
 public:
  explicit tensor_reader(std::string const& path) : path_(path), file_(path, std::ios::binary) {}

  [[nodiscard]] tensor_file read() {
    auto const header = parsed_header();
    std::vector<entry> entries;
    tensor_file made{{}, {}, path_};
    for (auto const& [name, value] : header.items()) {
      if (name == "__metadata__")
        made.metadata = metadata(value);
      else
        entries.push_back(described(name, value));
    }
    std::sort(entries.begin(), entries.end(), [](auto const& a, auto const& b) {
      return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    check_layout(entries);
    for (auto& one : entries) made.tensors.push_back(loaded(one));
    return made;
  }

 private:
  using json = nlohmann::json;
  struct entry {
    named_tensor tensor;
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  static constexpr std::uint64_t longest_header = 100'000'000;  // the format's own limit

  [[noreturn]] void refuse(char const* what, std::string const& where, std::string expected, std::string got) const {
    throw error{{.what = what,
                 .where = where.empty() ? path_ : path_ + ", " + where,
                 .expected = std::move(expected),
                 .got = std::move(got)}};
  }

  [[noreturn]] void refuse_tensor(char const* what, std::string const& name, std::string expected,
                                  std::string got) const {
    refuse(what, "tensor " + name, std::move(expected), std::move(got));
  }

  [[nodiscard]] json parsed_header() {
    file_.seekg(0, std::ios::end);
    auto const end = file_.tellg();
    if (!file_ || end < 0) refuse("cannot read file", "", "a readable safetensors file", "none");
    std::uint64_t const size = static_cast<std::uint64_t>(end);
    if (size < 8) refuse("file is truncated", "header length", "8 bytes", std::to_string(size));
    std::uint64_t length = 0;
    file_.seekg(0);
    file_.read(reinterpret_cast<char*>(&length), sizeof length);
    if (!file_) refuse("cannot read file", "header length", "8 bytes", "none");
    if (length > longest_header)
      refuse("header is too long", "header length", "at most " + std::to_string(longest_header) + " bytes",
             std::to_string(length));
    if (length > size - 8)
      refuse("file is truncated", "header", std::to_string(length) + " bytes", std::to_string(size - 8));
    data_ = 8 + length;
    size_ = size - data_;
    std::string text(length, '\0');
    file_.read(text.data(), static_cast<std::streamsize>(length));
    if (!file_) refuse("cannot read file", "header", std::to_string(length) + " bytes", "fewer");

    std::set<std::string> names;
    std::string twice;
    auto const watch = [&names, &twice](int depth, json::parse_event_t event, json& value) {
      if (event == json::parse_event_t::key && depth == 1 && !names.insert(value.get<std::string>()).second)
        twice = value.get<std::string>();
      return true;
    };
    json header;
    try {
      header = json::parse(text, watch);
    } catch (json::exception const& fault) {
      refuse("header is not JSON", "header", "JSON", fault.what());
    }
    if (!twice.empty()) refuse_tensor("tensor stands twice", twice, "one entry of this name", "two");
    if (!header.is_object()) refuse("header is no JSON object", "header", "an object of tensors", header.type_name());
    return header;
  }

  [[nodiscard]] std::map<std::string, std::string> metadata(json const& value) const {
    std::map<std::string, std::string> texts;
    if (!value.is_object()) refuse("bad metadata", "__metadata__", "an object of strings", value.type_name());
    for (auto const& [key, text] : value.items()) {
      if (!text.is_string()) refuse("bad metadata", "__metadata__." + key, "a string", text.type_name());
      texts[key] = text.template get<std::string>();
    }
    return texts;
  }

  /// The member as whole numbers, 0 or more.
  [[nodiscard]] std::vector<std::size_t> numbers(std::string const& name, json const& value, char const* member) const {
    auto const found = value.find(member);
    std::string const wanted = std::string(member) + " as an array of whole numbers, 0 or more";
    if (found == value.end()) refuse_tensor("bad tensor entry", name, wanted, "none");
    bool fine = found->is_array();
    for (auto const& one : *found) fine = fine && one.is_number_unsigned();
    if (!fine) refuse_tensor("bad tensor entry", name, wanted, found->dump());
    return found->template get<std::vector<std::size_t>>();
  }

  [[nodiscard]] entry described(std::string const& name, json const& value) const {
    if (!value.is_object()) refuse_tensor("bad tensor entry", name, "an object", value.type_name());
    entry made;
    made.tensor.name = name;
    auto const dtype = value.find("dtype");
    if (dtype == value.end() || !dtype->is_string())
      refuse_tensor("bad tensor entry", name, "dtype as a string", dtype == value.end() ? "none" : dtype->dump());
    auto const label = dtype->template get<std::string>();
    bool known = false;
    for (auto type : {stored_type::f32, stored_type::bf16, stored_type::f16, stored_type::i32, stored_type::i64})
      if (label == format_of(type).label) made.tensor.type = type, known = true;
    if (!known) refuse_tensor("dtype is not supported", name, "F32, BF16, F16, I32 or I64", label);

    made.tensor.shape = numbers(name, value, "shape");
    auto const offsets = numbers(name, value, "data_offsets");
    if (offsets.size() != 2)
      refuse_tensor("bad tensor entry", name, "two data_offsets", std::to_string(offsets.size()));
    made.begin = offsets[0];
    made.end = offsets[1];
    if (made.begin > made.end || made.end > size_)
      refuse_tensor("offsets out of range", name, "begin <= end <= " + std::to_string(size_) + " bytes of data",
                    shape_text(offsets));
    std::size_t bytes = 0;
    if (!stored_bytes(made.tensor.shape, made.tensor.type, bytes) || bytes != made.end - made.begin)
      refuse_tensor("shape and bytes disagree", name,
                    label + " " + shape_text(made.tensor.shape) + " in as many bytes as its shape asks for",
                    std::to_string(made.end - made.begin) + " bytes");
    return made;
  }

  /// Every byte of the data belongs to one tensor.
  void check_layout(std::vector<entry> const& entries) const {
    std::size_t at = 0;
    for (auto const& one : entries) {
      if (one.begin != at)
        refuse_tensor(one.begin < at ? "tensors overlap" : "bytes that belong to no tensor", one.tensor.name,
                      "begin at byte " + std::to_string(at), std::to_string(one.begin));
      at = one.end;
    }
    if (at != size_)
      refuse("bytes that belong to no tensor", "data", std::to_string(at) + " bytes", std::to_string(size_));
  }

  template <class Stored, class Element>
  void decode(std::vector<char> const& raw, std::vector<Element>& to) const {
    to.resize(raw.size() / sizeof(Stored));
    for (std::size_t i = 0; i < to.size(); ++i) {
      Stored one;
      std::memcpy(&one, raw.data() + i * sizeof(Stored), sizeof(Stored));
      to[i] = static_cast<Element>(one);
    }
  }

  [[nodiscard]] named_tensor loaded(entry& one) {
    std::vector<char> raw(one.end - one.begin);
    file_.seekg(static_cast<std::streamoff>(data_ + one.begin));
    file_.read(raw.data(), static_cast<std::streamsize>(raw.size()));
    if (!file_) refuse_tensor("cannot read file", one.tensor.name, std::to_string(raw.size()) + " bytes", "fewer");
    named_tensor made = std::move(one.tensor);
    switch (made.type) {
      case stored_type::f32: decode<float>(raw, made.values); break;
      case stored_type::bf16: decode<bf16>(raw, made.values); break;
      case stored_type::f16: decode<f16>(raw, made.values); break;
      case stored_type::i32: decode<std::int32_t>(raw, made.integers); break;
      case stored_type::i64: {
        std::vector<std::int64_t> wide;
        decode<std::int64_t>(raw, wide);
        for (auto value : wide) {
          if (value != static_cast<std::int32_t>(value))
            refuse_tensor("number is too large", made.name, "32 bits", std::to_string(value));
          made.integers.push_back(static_cast<std::int32_t>(value));
        }
      }
    }
    return made;
  }

  std::string path_;
  std::ifstream file_;
  std::uint64_t data_ = 0;  // where the bytes begin
  std::uint64_t size_ = 0;  // how many there are
};

/// The tensor's elements as they stand in the file.
[[nodiscard]] inline std::vector<char> encoded(named_tensor const& tensor) {
  auto const fill = [](auto const& from, auto zero) {
    using stored = decltype(zero);
    std::vector<char> raw(from.size() * sizeof(stored));
    for (std::size_t i = 0; i < from.size(); ++i) {
      stored const one(from[i]);
      std::memcpy(raw.data() + i * sizeof(stored), &one, sizeof(stored));
    }
    return raw;
  };
  switch (tensor.type) {
    case stored_type::bf16: return fill(tensor.values, bf16{});
    case stored_type::f16: return fill(tensor.values, f16{});
    case stored_type::i32: return fill(tensor.integers, std::int32_t{});
    case stored_type::i64: return fill(tensor.integers, std::int64_t{});
    default: return fill(tensor.values, float{});
  }
}

/// The header with its length before it, padded so that the data begin on 8 bytes.
[[nodiscard]] inline std::string tensor_header(std::string const& path, std::vector<named_tensor> const& tensors,
                                               std::map<std::string, std::string> const& metadata) {
  auto header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::size_t at = 0;
  for (auto const& one : tensors) {
    std::string const where = path + ", tensor " + one.name;
    std::size_t bytes = 0;
    auto const format = format_of(one.type);
    auto const& used = format.whole ? one.integers.size() : one.values.size();
    auto const& unused = format.whole ? one.values.size() : one.integers.size();
    if (!stored_bytes(one.shape, one.type, bytes) || bytes != used * format.size || unused != 0)
      throw error{{.what = "shape and elements disagree",
                   .where = where,
                   .expected = format.label + (" " + shape_text(one.shape)) + " with as many elements",
                   .got = std::to_string(one.values.size()) + " values and " + std::to_string(one.integers.size()) +
                          " integers"}};
    if (one.name == "__metadata__" || header.contains(one.name))
      throw error{{.what = "bad tensor name", .where = where, .expected = "each name once", .got = one.name}};
    header[one.name] = {{"dtype", format.label}, {"shape", one.shape}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (nlohmann::json::exception const& fault) {
    throw error{{.what = "name or metadata is not UTF-8", .where = path, .expected = "UTF-8", .got = fault.what()}};
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::uint64_t const length = text.size();
  return std::string(reinterpret_cast<char const*>(&length), sizeof length) + text;
}

}  // namespace detail

/// All tensors of a file, checked before anything is returned.
/// Errors  throws mpx::error, naming file and tensor, when the file cannot be read, is truncated, has a header that
///         is too long or no JSON, when offsets are out of range, overlap or leave holes, when shape and bytes
///         disagree, when a dtype is not supported or an I64 does not fit 32 bits
/// Source  https://github.com/huggingface/safetensors, section "Format"
[[nodiscard]] inline tensor_file read_safetensors(std::string const& path) {
  return detail::tensor_reader{path}.read();
}

/// Writes beside the file, waits until the disk has it, then renames: the old file stays whole until the new one is.
/// Errors  throws mpx::error when a shape and its elements disagree, a name stands twice, or the disk refuses; the
///         file that was there before is then untouched
inline void write_safetensors(std::string const& path, std::vector<named_tensor> const& tensors,
                              std::map<std::string, std::string> const& metadata = {}) {
  std::string const header = detail::tensor_header(path, tensors, metadata);
  std::string const beside = path + ".part";
  auto const put = [](std::FILE* file, auto const& raw) {
    return raw.empty() || std::fwrite(raw.data(), 1, raw.size(), file) == raw.size();
  };
  std::FILE* const file = std::fopen(beside.c_str(), "wb");
  bool done = file != nullptr && put(file, header);
  for (auto const& one : tensors) done = done && put(file, detail::encoded(one));
  done = done && std::fflush(file) == 0 && fsync(fileno(file)) == 0;
  int fault = errno;
  if (file != nullptr && std::fclose(file) != 0 && done) {
    done = false;
    fault = errno;
  }
  if (done && std::rename(beside.c_str(), path.c_str()) != 0) {
    done = false;
    fault = errno;
  }
  if (done) return;
  if (file != nullptr) std::remove(beside.c_str());
  throw error{{.what = "cannot write file",
               .where = path,
               .expected = "a writable place",
               .got = std::strerror(fault)}};
}

}  // namespace mpx

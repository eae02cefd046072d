// The only file that knows Python: checks what comes through the door, gives up the GIL, and calls the engine.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cxxabi.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kernels.hpp"
#include "one_by_one.hpp"
#include "threads.hpp"

namespace nb = nanobind;

namespace nineline {
namespace {

// The instruction sets

struct Level {
  const char* name;
  bool (*runs_here)();
  Layout* (*make_layout)(bool, const LayerSpec*, Index);
  bool (*apply)(const char*, bool, const void*, void*, Index);
};

// What every processor of its kind has.
#ifdef NINELINE_NEON
namespace plainest = neon;
constexpr const char* plainest_name = "neon";
#else
namespace plainest = baseline;
constexpr const char* plainest_name = "baseline";
#endif

// From the plainest to the fastest.
const Level all_levels[] = {
    {plainest_name, [] { return true; }, plainest::make_layout, plainest::apply},
#ifdef NINELINE_X86
    {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }, avx2::make_layout,
     avx2::apply},
    {"avx512",
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
     },
     avx512::make_layout, avx512::apply},
#endif
};

std::vector<std::string> levels() {
  std::vector<std::string> names;
  for (const Level& level : all_levels)
    if (level.runs_here()) names.emplace_back(level.name);
  return names;
}

const Level& find_level(const std::string& name) {
  for (const Level& level : all_levels)
    if (name == level.name && level.runs_here()) return level;
  std::string known;
  for (const std::string& each : levels()) known += (known.empty() ? "" : ", ") + each;
  throw nb::value_error(("level is '" + name + "'; this processor and this build have " + known).c_str());
}

// Arrays

using AnyArray = nb::ndarray<nb::ro, nb::device::cpu>;
using OwnArray = nb::ndarray<nb::device::cpu>;  // written into, so never a copy

std::string shape_of(const auto& array) {
  std::string shape = "(";
  for (std::size_t i = 0; i < array.ndim(); ++i) shape += (i > 0 ? ", " : "") + std::to_string(array.shape(i));
  return shape + ")";
}

// Makes sure that an array is what the engine reads: C-contiguous, of one type and shape (-1: any number, at least 0).
template <class T = void>
void check(const char* name, const auto& array, nb::dlpack::dtype type, std::initializer_list<Index> shape) {
  bool fits = array.ndim() == shape.size();
  std::string expected;
  std::size_t i = 0;
  for (const Index n : shape) {
    fits = fits && (n < 0 || Index(array.shape(i)) == n);
    expected += (i > 0 ? ", " : "") + (n < 0 ? std::string("any") : std::to_string(n));
    ++i;
  }
  if (!fits) throw nb::value_error((std::string(name) + " has shape " + shape_of(array) + "; expected (" + expected + ")").c_str());
  if (array.dtype() != type) {
    const std::string bits = std::to_string(type.bits);
    const bool floating = type.code == std::uint8_t(nb::dlpack::dtype_code::Float);
    throw nb::type_error((std::string(name) + " has another type; expected " + (floating ? "float" : "int") + bits).c_str());
  }
  Index stride = 1;
  for (std::size_t d = array.ndim(); d-- > 0 && array.size() > 0;) {  // of nothing there are any strides
    if (array.shape(d) > 1 && array.stride(d) != stride)
      throw nb::value_error((std::string(name) + " is not C-contiguous; numpy.ascontiguousarray makes it so").c_str());
    stride *= Index(array.shape(d));
  }
}

AnyArray array_of(const char* name, nb::handle object) {
  AnyArray array;
  if (!nb::try_cast(object, array)) throw nb::type_error((std::string(name) + " is not an array of numbers").c_str());
  return array;
}

OwnArray own_array_of(const char* name, nb::handle object) {
  OwnArray array;
  if (!nb::try_cast(object, array, false))
    throw nb::type_error((std::string(name) + " is not an array of numbers that may be written").c_str());
  return array;
}

nb::dlpack::dtype type_of(bool single) { return single ? nb::dtype<float>() : nb::dtype<double>(); }

// What NumPy has to say of an array's memory, with less around it than an ndarray has.
struct View {
  Py_buffer buffer;
  bool held;
  View(nb::handle of, int flags) : held{PyObject_GetBuffer(of.ptr(), &buffer, flags) == 0} {
    if (!held) PyErr_Clear();
  }
  ~View() {
    if (held) PyBuffer_Release(&buffer);
  }
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  bool is(const char* format) const { return held && buffer.format != nullptr && std::strcmp(buffer.format, format) == 0; }
  bool is_whole_numbers() const { return buffer.itemsize == 8 && (is("l") || is("q")); }
  Index shape(int d) const { return Index(buffer.shape[d]); }
  Index count() const { return Index(buffer.len / buffer.itemsize); }
};

template <class T>
bool finite(const T* numbers, Index count) {
  T zeros[8] = {};  // x * 0 is 0 for every finite x, and NaN for the others
  Index i = 0;
  for (; i + 8 <= count; i += 8)
    for (int j = 0; j < 8; ++j) zeros[j] += numbers[i + j] * 0;
  for (; i < count; ++i) zeros[0] += numbers[i] * 0;
  T all = 0;
  for (const T zero : zeros) all += zero;
  return all == 0;
}

// Whether targets are finite and such as a loss takes. Twin: the losses' check_targets in src/nineline/losses.py.
template <class T>
bool fit(Targets wanted, const T* targets, Index rows, Index outputs) {
  const Index count = rows * outputs;
  if (!finite(targets, count)) return false;
  if (wanted == Targets::any) return true;
  T least = 0, most = 0;
  for (Index i = 0; i < count; ++i) {
    least = targets[i] < least ? targets[i] : least;
    most = targets[i] > most ? targets[i] : most;
  }
  if (least < 0 || (wanted == Targets::shares && most > 1)) return false;
  if (wanted != Targets::distributions) return true;
  for (Index r = 0; r < rows; ++r) {
    T sum = 0;
    for (Index o = 0; o < outputs; ++o) sum += targets[r * outputs + o];
    if (!(std::abs(sum - 1) < T(0.9e-3))) return false;  // what is near the limit of 1e-3 needs a second look
  }
  return true;
}

int number_of(const char* const* names, const std::string& name, const char* what) {
  for (int i = 0; names[i] != nullptr; ++i)
    if (name == names[i]) return i;
  throw nb::value_error((std::string(what) + " is '" + name + "', which the native engine does not know").c_str());
}

// Where the interpreter has come to its end it ends a thread that wants the GIL by unwinding it (up to Python 3.13), and
// unwinding ends the program where C++ does not let it pass. So such a thread stays here, which is what later versions do.
template <class Work>
void or_stay(const Work& work) {
#if defined(__GLIBCXX__) && defined(__GLIBC__)
  try {
    work();
  } catch (abi::__forced_unwind&) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours{1});
  }
#else
  work();
#endif
}

// Does some work while other threads of Python may go on.
template <class Work>
void without_gil(const Work& work) {
  PyThreadState* const mine = PyEval_SaveThread();
  std::exception_ptr thrown;
  or_stay([&] {
    try {
      work();
    } catch (const std::exception&) {
      thrown = std::current_exception();
    }
  });
  or_stay([&] { PyEval_RestoreThread(mine); });
  if (thrown) std::rethrow_exception(thrown);
}

bool ctrl_c(void*) {
  const DenormalsHere here{Denormals::kept};  // a handler of signals is Python
  bool raised = false;
  or_stay([&] {
    const PyGILState_STATE state = PyGILState_Ensure();
    raised = PyErr_CheckSignals() != 0;
    PyGILState_Release(state);
  });
  return raised;
}

// Raises what Ctrl-C left behind.
void raise_if_interrupted() {
  if (PyErr_Occurred() != nullptr) throw nb::python_error();
}

int checked(int threads) {
  if (threads < 1 || threads > 1024)
    throw nb::value_error(("threads is " + std::to_string(threads) + "; expected 1 to 1024").c_str());
  return threads;
}

// Rows times parameters below which a call keeps the GIL, for giving it up takes longer than the call.
constexpr Index short_work = 20000;

// One call at a time. Who waits has given up the GIL; a thread that is inside already, as a handler of signals is, would
// wait for itself.
class Gate {
 public:
  bool is_mine() const { return owner_.load(std::memory_order_relaxed) == PyThread_get_thread_ident(); }

  class Turn {
   public:
    explicit Turn(Gate& gate) : gate_{gate} {
      if (gate.is_mine()) throw std::runtime_error("called while another call on the same thread is not over");
      if (!gate.mutex_.try_lock()) without_gil([&] { gate.mutex_.lock(); });
      gate.owner_.store(PyThread_get_thread_ident(), std::memory_order_relaxed);
    }
    ~Turn() {
      gate_.owner_.store(0, std::memory_order_relaxed);
      gate_.mutex_.unlock();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Gate& gate_;
  };

 private:
  std::mutex mutex_;
  std::atomic<unsigned long> owner_{0};
};

// A loss as Python describes it, with the numbers that its spec points to.
struct BoundLoss : LossSpec {
  std::shared_ptr<const std::vector<double>> kept;
};

// The layout

// A layer as Python describes it, with the numbers that its spec points to.
struct BoundLayer {
  LayerSpec spec;
  std::vector<Index> levels, widths;
};

BoundLayer layer_of(const char* kind, Index inputs) {
  BoundLayer layer;
  layer.spec.kind = Kind(number_of(plainest::names().kinds, kind, "kind"));
  layer.spec.inputs = inputs;
  return layer;
}

class BoundLayout {
 public:
  BoundLayout(const std::string& level, const std::string& dtype, std::vector<BoundLayer> layers)
      : single_{dtype == "float32"}, layers_{std::move(layers)} {
    if (!single_ && dtype != "float64") throw nb::value_error(("dtype is '" + dtype + "'; expected float32 or float64").c_str());
    check_layers();
    std::vector<LayerSpec> specs;
    for (const BoundLayer& layer : layers_) specs.push_back(layer.spec);
    layout_.reset(find_level(level).make_layout(single_, specs.data(), Index(specs.size())));
  }
  BoundLayout(const BoundLayout&) = delete;
  BoundLayout& operator=(const BoundLayout&) = delete;

  static BoundLayout& of(nb::handle object) {
    BoundLayout* layout = nullptr;
    if (!nb::try_cast(object, layout) || layout == nullptr) throw nb::type_error("layout is not a Layout");
    return *layout;
  }

  const Layout& operator*() const { return *layout_; }
  const Layout* operator->() const { return layout_.get(); }
  bool single() const { return single_; }
  nb::dlpack::dtype type() const { return type_of(single_); }
  Index size() const { return size_; }
  Index inputs() const { return first().inputs; }
  Index outputs() const { return layers_.back().spec.outputs; }

  // About how many parameters a row meets.
  Index size_for_a_row() const { return size_for_a_row_; }

  // The factor of each block.
  std::vector<double> factors_of(const std::vector<double>& given) const {
    const Index blocks = layout_->block_count();
    if (!given.empty() && Index(given.size()) != blocks)
      throw nb::value_error(("factors has " + std::to_string(given.size()) + " numbers; expected one for each of " +
                             std::to_string(blocks) + " blocks").c_str());
    return given.empty() ? std::vector<double>(std::size_t(blocks), 1.0) : given;
  }

  void check_fits(const LossSpec& loss) const {
    if (!plainest::fits(loss.kind, layers_.back().spec.activation)) throw nb::value_error("the loss does not fit the output activation");
    if (loss.settings != nullptr && loss.setting_count != outputs())
      throw nb::value_error("the loss has settings for another number of outputs");
  }

  bool reads_levels() const { return first().columns > 0; }
  Index columns_of_levels() const { return first().columns; }

  // Whether a row of data holds, where an embedding reads it, whole numbers below how many levels there are.
  template <class T>
  bool are_levels(const T* row) const {
    for (Index c = 0; c < first().columns; ++c) {
      const Index most = layers_.front().levels[std::size_t(c)];
      if (!(row[c] >= 0 && row[c] < T(most)) || T(Index(row[c])) != row[c]) return false;
    }
    return true;
  }
  bool are_levels(const void* inputs, Index row) const {
    return single_ ? are_levels(static_cast<const float*>(inputs) + row * this->inputs())
                   : are_levels(static_cast<const double*>(inputs) + row * this->inputs());
  }
  bool are_all_levels(const void* inputs, Index rows) const {
    for (Index r = 0; reads_levels() && r < rows; ++r)
      if (!are_levels(inputs, r)) return false;
    return true;
  }

 private:
  const LayerSpec& first() const { return layers_.front().spec; }

  static bool is(const LayerSpec& layer, const char* kind) {
    return std::strcmp(plainest::names().kinds[int(layer.kind)], kind) == 0;
  }

  static void wrong(Index layer, const std::string& what) {
    throw nb::value_error(("layer " + std::to_string(layer) + " " + what).c_str());
  }

  // Fills in the widths of what passes its inputs on, and makes sure that all fits together.
  void check_layers() {
    if (layers_.empty() || !is(layers_.back().spec, "dense")) throw nb::value_error("the last layer is not a dense one");
    Index width = first().inputs;
    for (Index l = 0; l < Index(layers_.size()); ++l) {
      BoundLayer& layer = layers_[std::size_t(l)];
      LayerSpec& spec = layer.spec;
      if (spec.inputs != width) wrong(l, "does not take what the one before it gives");
      if (is(spec, "embedding")) check_embedding(l, layer);
      else if (!is(spec, "dense")) spec.outputs = width;
      if (is(spec, "shortcut")) check_shortcut(l, spec);
      constexpr Index most = Index(1) << 31;
      if (spec.inputs < 1 || spec.outputs < 1 || spec.inputs > most || spec.outputs > most)
        wrong(l, "has a width below 1 or above 2^31");
      const Index parameters = plainest::parameters_of(spec);
      size_ += parameters;
      if (size_ > Index(1) << 40) throw nb::value_error("the network has more than 2^40 parameters");
      size_for_a_row_ += spec.columns > 0 ? spec.outputs : parameters;
      width = spec.outputs;
    }
  }

  void check_embedding(Index l, BoundLayer& layer) {
    LayerSpec& spec = layer.spec;
    spec.columns = Index(layer.levels.size());
    spec.levels = layer.levels.data();
    spec.widths = layer.widths.data();
    if (l != 0) wrong(l, "is an embedding, and not the first");
    if (spec.columns == 0 || layer.widths.size() != layer.levels.size() || spec.columns > spec.inputs)
      wrong(l, "has other numbers of columns, of widths and of levels");
    spec.outputs = spec.inputs - spec.columns;
    for (std::size_t c = 0; c < layer.levels.size(); ++c) {
      constexpr Index most = Index(1) << 24;
      if (layer.levels[c] < 1 || layer.widths[c] < 1 || layer.levels[c] > most || layer.widths[c] > most)
        wrong(l, "has levels or a width below 1 or above 2^24");
      spec.outputs += layer.widths[c];
    }
  }

  void check_shortcut(Index l, const LayerSpec& spec) const {
    if (spec.from < -1 || spec.from > l - 2) wrong(l, "adds what does not come before its layers");
    const Index given = spec.from < 0 ? first().inputs : layers_[std::size_t(spec.from)].spec.outputs;
    if (given != spec.outputs || (spec.from < 0 && is(first(), "embedding"))) wrong(l, "adds what is of another width");
  }

  bool single_;
  std::vector<BoundLayer> layers_;
  Index size_ = 0, size_for_a_row_ = 0;
  std::unique_ptr<Layout> layout_;
};

// What compact rows become, with the numbers that its parts point to.
class BoundEncoding {
 public:
  explicit BoundEncoding(Index width) { encoding_.width = width; }
  BoundEncoding(const BoundEncoding&) = delete;
  BoundEncoding& operator=(const BoundEncoding&) = delete;

  // The parts come by ascending place.
  void add_number(Index column, Index place, std::vector<double> edges, bool bent, bool missing) {
    EncodingPart part;
    part.bent = bent, part.missing = missing;
    part.edge_count = Index(edges.size());
    part.width = std::max<Index>(1, part.edge_count) + (missing ? 1 : 0);
    for (std::size_t i = 0; i < edges.size(); ++i)
      if (!std::isfinite(edges[i]) || (i > 0 && !(edges[i - 1] < edges[i])) || edges.size() < 2)
        throw nb::value_error("edges are not two ascending finite numbers or more");
    part.first_sum = encoding_.sums;
    encoding_.sums += part.edge_count > 0 ? part.edge_count - 1 : 0;
    encoding_.most_entries += part.width;
    edges_.push_back(std::move(edges));
    part.edges = edges_.back().data();  // stays where it is when the vector around it moves
    add(part, column, place, encoding_.numbers);
  }

  // Levels next to each other may share their inputs: a set of as many at most, which ascend in a row.
  void add_level(Index column, Index place, Index levels) {
    EncodingPart part;
    part.level = true;
    part.levels = levels;
    part.width = std::max<Index>(1, levels);
    encoding_.most_entries += 1;
    if (levels < 0) throw nb::value_error("levels is below 0");
    const EncodingPart* const last = parts_.empty() ? nullptr : &parts_.back();
    if (levels > 0 && last != nullptr && last->level && last->levels == levels && last->place == place)
      end_ -= part.width;
    if (levels == 0) raw_ += column == raw_ && place == raw_ ? 1 : encoding_.width;
    add(part, column, place, encoding_.levels);
  }

  const Encoding& encoding() const { return encoding_; }
  // How many levels are inputs themselves: those of an embedding, which come first.
  Index raw() const { return raw_; }
  bool is_whole() const { return end_ == encoding_.width; }

 private:
  void add(EncodingPart& part, Index column, Index place, Index& columns) {
    if (place != end_ || part.width > encoding_.width - end_)
      throw nb::value_error("the parts of an encoding do not lie side by side");
    if (column < 0 || column > Index(1) << 24) throw nb::value_error("a part of an encoding has no column");
    columns = std::max(columns, column + 1);
    end_ += part.width;
    part.place = place;
    part.column = column;
    parts_.push_back(part);
    encoding_.parts = parts_.data();
    encoding_.part_count = Index(parts_.size());
  }

  Encoding encoding_;
  std::vector<EncodingPart> parts_;
  std::vector<std::vector<double>> edges_;
  Index end_ = 0, raw_ = 0;
};

// Checked rows, as Python handed them over.
class GivenRows {
 public:
  Rows rows;

  GivenRows(const BoundLayout& layout, nb::handle inputs) : layout_{layout} {
    if (nb::isinstance<nb::tuple>(inputs)) {
      const auto parts = nb::borrow<nb::tuple>(inputs);
      if (parts.size() == 3) take_compact(layout, parts);
      else take_sparse(layout, parts);
      return;
    }
    inputs_ = array_of("inputs", inputs);
    check("inputs", inputs_, layout.type(), {-1, layout.inputs()});
    rows.count = Index(inputs_.shape(0));
    rows.inputs = inputs_.data();
  }

  GivenRows(const BoundLayout& layout, const LossSpec& loss, nb::handle inputs, nb::handle targets, nb::handle weights,
            bool may_be_empty = false)
      : GivenRows{layout, inputs} {
    if (rows.count == 0 && !may_be_empty) throw nb::value_error("inputs has no rows");
    targets_ = array_of("targets", targets);
    if (targets_.ndim() == 1 && targets_.dtype() == nb::dtype<std::int64_t>()) {
      check("targets", targets_, nb::dtype<std::int64_t>(), {rows.count});
      if (plainest::targets_of(loss.kind) != Targets::distributions)
        throw nb::value_error("targets are class numbers, which the loss does not take");
      rows.classes = static_cast<const std::int64_t*>(targets_.data());
      outputs_ = layout.outputs();
    } else {
      check("targets", targets_, layout.type(), {rows.count, layout.outputs()});
      rows.targets = targets_.data();
    }
    if (!weights.is_none()) {
      weights_ = array_of("weights", weights);
      check("weights", weights_, layout.type(), {rows.count});
      rows.weights = weights_.data();
    }
  }

  // What is not seen by the shape of an array: of the rows that the steps of a call name, or of all.
  void check_contents(const Index* order = nullptr, Index count = 0) const {
    if (rows.begins == nullptr && rows.classes == nullptr && !layout_.reads_levels()) return;
    const Index end = order == nullptr ? rows.count : count;
    for (Index i = 0; i < end; ++i) {
      const Index row = order == nullptr ? i : order[i];
      if (row < 0) continue;
      if (rows.begins != nullptr) check_entries(row);
      if (layout_.reads_levels() &&
          !(rows.encoding != nullptr ? layout_.are_levels(rows.levels + row * rows.encoding->levels)
                                     : layout_.are_levels(rows.inputs, row)))
        throw nb::value_error(("inputs has in row " + std::to_string(row) +
                               " a number that is no level of the embedding").c_str());
      if (rows.classes != nullptr && (rows.classes[row] < 0 || rows.classes[row] >= outputs_))
        throw nb::value_error(("targets has the class " + std::to_string(rows.classes[row]) + " of " +
                               std::to_string(outputs_)).c_str());
    }
  }

 private:
  // (numbers, levels, encoding)
  void take_compact(const BoundLayout& layout, const nb::tuple& parts) {
    BoundEncoding* given = nullptr;
    if (!nb::try_cast(parts[2], given) || given == nullptr) throw nb::type_error("encoding is not an Encoding");
    const Encoding& encoding = given->encoding();
    if (!given->is_whole() || encoding.width != layout.inputs())
      throw nb::value_error(("inputs become " + std::to_string(encoding.width) + " columns; expected " +
                             std::to_string(layout.inputs())).c_str());
    if (given->raw() != layout.columns_of_levels())
      throw nb::value_error("inputs have other levels than the network has an embedding for");
    inputs_ = array_of("numbers", parts[0]);
    columns_ = array_of("levels", parts[1]);
    rows.double_numbers = inputs_.dtype() == nb::dtype<double>();
    check("numbers", inputs_, type_of(!rows.double_numbers), {-1, encoding.numbers});
    rows.count = Index(inputs_.shape(0));
    check("levels", columns_, nb::dtype<std::int32_t>(), {rows.count, encoding.levels});
    rows.numbers = inputs_.data();
    rows.levels = static_cast<const std::int32_t*>(columns_.data());
    rows.encoding = &encoding;
    encoding_ = parts[2];
  }

  // (data, indices, indptr, columns)
  void take_sparse(const BoundLayout& layout, const nb::tuple& parts) {
    if (layout.reads_levels()) throw nb::value_error("inputs is sparse; an embedding takes dense rows");
    if (parts.size() != 4) throw nb::value_error("inputs is a tuple of other than (data, indices, indptr, columns)");
    inputs_ = array_of("data", parts[0]);
    columns_ = array_of("indices", parts[1]);
    begins_ = array_of("indptr", parts[2]);
    check("data", inputs_, layout.type(), {-1});
    entries_ = Index(inputs_.shape(0));
    check("indices", columns_, nb::dtype<std::int32_t>(), {entries_});
    check("indptr", begins_, nb::dtype<std::int64_t>(), {-1});
    if (begins_.shape(0) == 0) throw nb::value_error("indptr is empty");
    Index columns = 0;
    if (!nb::try_cast(parts[3], columns, false)) throw nb::type_error("columns is not a whole number");
    if (columns != layout.inputs())
      throw nb::value_error(("inputs has " + std::to_string(columns) + " columns; expected " +
                             std::to_string(layout.inputs())).c_str());
    width_ = columns;
    rows.count = Index(begins_.shape(0)) - 1;
    rows.inputs = inputs_.data();
    rows.columns = static_cast<const std::int32_t*>(columns_.data());
    rows.begins = static_cast<const std::int64_t*>(begins_.data());
  }

  void check_entries(Index row) const {
    const Index begin = Index(rows.begins[row]), end = Index(rows.begins[row + 1]);
    if (begin < 0 || end < begin || end > entries_)
      throw nb::value_error(("indptr is wrong at row " + std::to_string(row)).c_str());
    Index least = 0;
    for (Index e = begin; e < end; ++e) {
      if (rows.columns[e] < least || rows.columns[e] >= width_)
        throw nb::value_error(("indices is wrong at row " + std::to_string(row) +
                               "; expected ascending numbers of columns").c_str());
      least = Index(rows.columns[e]) + 1;
    }
  }

  const BoundLayout& layout_;
  AnyArray inputs_, columns_, begins_, targets_, weights_;
  nb::object encoding_;  // alive as long as this
  Index entries_ = 0, width_ = 0, outputs_ = 0;
};

// The training

// Who adds up a gradient with those of others, in Python: a function of an array.
struct Adding {
  nb::handle function;
  bool single;

  static bool call(void* context, void* gradient, Index size) {
    const Adding& mine = *static_cast<const Adding*>(context);
    const DenormalsHere here{Denormals::kept};
    bool done = false;
    or_stay([&] {
      const PyGILState_STATE state = PyGILState_Ensure();
      done = mine.add_up(gradient, size);
      PyGILState_Release(state);
    });
    return done;
  }

  // False with Python's error set.
  bool add_up(void* gradient, Index size) const {
    try {
      const std::size_t shape[] = {std::size_t(size)};
      const nb::dlpack::dtype type = single ? nb::dtype<float>() : nb::dtype<double>();
      function(nb::cast(nb::ndarray<nb::numpy>(gradient, 1, shape, nb::none(), nullptr, type), nb::rv_policy::reference));
      return true;
    } catch (nb::python_error& error) {
      error.restore();
    } catch (const std::exception& error) {
      PyErr_SetString(PyExc_RuntimeError, error.what());
    }
    return false;
  }
};

class BoundTraining {
 public:
  BoundTraining(nb::object layout, const BoundLoss& loss, const RuleSpec& rule, nb::object parameters, int threads,
                const std::vector<double>& factors)
      : held_layout_{std::move(layout)}, held_parameters_{std::move(parameters)}, layout_{BoundLayout::of(held_layout_)},
        loss_{loss}, threads_{checked(threads)}, targets_{plainest::targets_of(loss.kind)} {
    layout_.check_fits(loss);
    const OwnArray flat = own_array_of("parameters", held_parameters_);
    check("parameters", flat, layout_.type(), {layout_.size()});
    training_.reset(layout_->train(loss, rule, layout_.factors_of(factors).data(), flat.data()));
  }

  // One step on all rows of plain arrays, with as little around the arithmetic as can be: what needs a second look is
  // answered with None.
  nb::object step(nb::handle inputs, nb::handle targets, double rate) {
    if (Py_TYPE(inputs.ptr()) != Py_TYPE(held_parameters_.ptr()) || Py_TYPE(targets.ptr()) != Py_TYPE(inputs.ptr()))
      return nb::none();
    const View x{inputs, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT}, t{targets, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT};
    Rows rows;
    if (!(layout_.single() ? take<float>(x, t, "f", rows) : take<double>(x, t, "d", rows))) return nb::none();
    Steps steps;
    steps.rates = &rate;
    steps.count = 1;
    double loss = 0;
    const Gate::Turn turn{gate_};
    if (rows.count * layout_.size_for_a_row() < short_work) {
      Team team{1, Denormals::zeros};
      training_->steps(rows, steps, &loss, team, {});
    } else {
      without_gil([&] {
        Team team{threads_, Denormals::zeros};
        training_->steps(rows, steps, &loss, team, {ctrl_c, nullptr});
      });
    }
    raise_if_interrupted();
    return nb::float_(loss);
  }

  Index steps(nb::handle inputs, nb::handle targets, nb::handle weights, nb::handle order, Index batch_size,
              const AnyArray& rates, const OwnArray& losses, nb::handle add_up, bool mean) {
    const bool with_others = !add_up.is_none();
    const GivenRows given{layout_, loss_, inputs, targets, weights, with_others};
    check("rates", rates, nb::dtype<double>(), {-1});
    if (!order.is_none() && batch_size < 1) throw nb::value_error("batch_size is less than 1");
    Steps steps;
    const AnyArray order_array = order_of(order, given, steps, with_others ? batch_size : 0);
    given.check_contents(steps.order, steps.order_size);
    steps.batch_size = batch_size;
    steps.rates = static_cast<const double*>(rates.data());
    steps.count = Index(rates.shape(0));
    check("losses", losses, nb::dtype<double>(), {steps.count});
    Adding adding{add_up, layout_.single()};
    const Others others{Adding::call, &adding, mean};
    if (with_others) steps.others = &others;
    const Index batches = steps.order == nullptr ? steps.count
                          : steps.order_size / batch_size + (steps.order_size % batch_size != 0 ? 1 : 0);
    if (steps.count > batches)
      throw nb::value_error("rates has more steps than order has batches");
    const Gate::Turn turn{gate_};
    Index done = 0;
    without_gil([&] {
      Team team{threads_, Denormals::zeros};
      done = training_->steps(given.rows, steps, static_cast<double*>(losses.data()), team, {ctrl_c, nullptr});
    });
    raise_if_interrupted();
    return done;
  }

  double gradient(nb::handle inputs, nb::handle targets, nb::handle weights, const OwnArray& into, const BoundLoss* loss,
                  nb::handle order) {
    const LossSpec& spec = loss == nullptr ? loss_ : *loss;
    if (loss != nullptr) layout_.check_fits(*loss);
    const GivenRows given{layout_, spec, inputs, targets, weights};
    Steps which;
    const AnyArray order_array = order_of(order, given, which);
    if (which.order != nullptr && which.order_size == 0) throw nb::value_error("order is empty");
    given.check_contents(which.order, which.order_size);
    check("into", into, layout_.type(), {layout_.size()});
    const Gate::Turn turn{gate_};
    double value = 0;
    without_gil([&] {
      Team team{threads_, Denormals::zeros};
      value = training_->gradient(given.rows, which.order, which.order_size, spec, into.data(), team, {ctrl_c, nullptr});
    });
    raise_if_interrupted();
    return value;
  }

  void move(const AnyArray& gradient, double rate) {
    check("gradient", gradient, layout_.type(), {layout_.size()});
    const Gate::Turn turn{gate_};
    without_gil([&] {
      Team team{threads_, Denormals::zeros};
      training_->move(gradient.data(), rate, team);
    });
  }

  bool undo() {
    const Gate::Turn turn{gate_};
    return training_->undo();
  }

  void before(const OwnArray& into) {
    check("into", into, layout_.type(), {layout_.size()});
    const Gate::Turn turn{gate_};
    training_->before(into.data());
  }

  double evaluate(nb::handle inputs, nb::handle targets, nb::handle weights) {
    const GivenRows given{layout_, loss_, inputs, targets, weights};
    given.check_contents();
    const Gate::Turn turn{gate_};
    double loss = 0;
    without_gil([&] {
      Team team{threads_};
      loss = training_->evaluate(given.rows, team, {ctrl_c, nullptr});
    });
    raise_if_interrupted();
    return loss;
  }

  void read(const std::vector<OwnArray>& moments) {
    void* vectors[most_moments] = {};
    check_moments(moments, vectors);
    const Gate::Turn turn{gate_};
    training_->read(vectors);
  }

  void write(const std::vector<AnyArray>& moments, const AnyArray& before, std::uint64_t steps_taken) {
    const void* vectors[most_moments] = {};
    check_moments(moments, vectors);
    check("before", before, layout_.type(), {layout_.size()});
    const Gate::Turn turn{gate_};
    training_->write(vectors, before.data(), steps_taken);
  }

  std::uint64_t steps_taken() const { return training_->steps_taken; }
  std::uint64_t seed() const { return training_->seed; }
  void set_seed(std::uint64_t seed) {
    const Gate::Turn turn{gate_};
    training_->seed = seed;
  }
  int threads() const { return threads_; }
  void set_threads(int threads) { threads_ = checked(threads); }  // the next call sees it, whoever makes it

 private:
  // Numbers of given rows, checked, or none; the array is to live as long as the steps do. -1 may stand behind the rows
  // of a batch that is filled up to so many.
  static AnyArray order_of(nb::handle order, const GivenRows& given, Steps& steps, Index filled = 0) {
    AnyArray array;
    if (order.is_none()) return array;
    array = array_of("order", order);
    check("order", array, nb::dtype<std::int64_t>(), {-1});
    steps.order = static_cast<const Index*>(array.data());
    steps.order_size = Index(array.shape(0));
    for (Index i = 0; i < steps.order_size; ++i) {
      const bool is_behind = filled > 0 && i % filled > 0 && steps.order[i - 1] < 0;
      if (filled > 0 && steps.order[i] == -1) continue;
      if (steps.order[i] < 0 || steps.order[i] >= given.rows.count || is_behind)
        throw nb::index_error(("order has the row " + std::to_string(steps.order[i]) + " of " +
                               std::to_string(given.rows.count) + (is_behind ? ", behind -1" : "")).c_str());
    }
    return array;
  }

  void check_moments(const auto& moments, auto* vectors) const {
    if (int(moments.size()) != training_->moments())
      throw nb::value_error(("moments has " + std::to_string(moments.size()) + " vectors; expected " +
                             std::to_string(training_->moments())).c_str());
    for (std::size_t m = 0; m < moments.size(); ++m) {
      check("moments", moments[m], layout_.type(), {layout_.size()});
      vectors[m] = moments[m].data();
    }
  }

  // Whether two arrays are rows to learn from.
  template <class T>
  bool take(const View& inputs, const View& targets, const char* format, Rows& rows) const {
    const Index n = layout_.inputs(), m = layout_.outputs();
    if (!inputs.is(format) || inputs.buffer.ndim != 2 || inputs.shape(1) != n || inputs.shape(0) == 0) return false;
    rows.count = inputs.shape(0);
    rows.inputs = inputs.buffer.buf;
    if (!targets.held || targets.buffer.ndim == 0 || targets.shape(0) != rows.count) return false;
    if (targets.is(format)) {
      if (targets.buffer.ndim == 2 ? targets.shape(1) != m : targets.buffer.ndim != 1 || m != 1) return false;
      rows.targets = targets.buffer.buf;
      if (!fit(targets_, static_cast<const T*>(rows.targets), rows.count, m)) return false;
    } else {
      if (targets_ != Targets::distributions || m == 1 || targets.buffer.ndim != 1 || !targets.is_whole_numbers()) return false;
      rows.classes = static_cast<const std::int64_t*>(targets.buffer.buf);
      for (Index r = 0; r < rows.count; ++r)
        if (rows.classes[r] < 0 || rows.classes[r] >= m) return false;
    }
    return finite(static_cast<const T*>(rows.inputs), rows.count * n) && layout_.are_all_levels(rows.inputs, rows.count);
  }

  nb::object held_layout_, held_parameters_;  // alive as long as this
  BoundLayout& layout_;
  BoundLoss loss_;
  std::atomic<int> threads_;
  Targets targets_;
  std::unique_ptr<Training> training_;
  Gate gate_;
};

// Many networks of one shape, in lanes or one by one.
class BoundMany {
 public:
  BoundMany(nb::object layout, const BoundLoss& loss, const RuleSpec& rule, const std::vector<double>& factors)
      : held_layout_{std::move(layout)}, layout_{BoundLayout::of(held_layout_)}, loss_{loss} {
    layout_.check_fits(loss);
    std::vector<double> each = layout_.factors_of(factors);
    moments_ = std::unique_ptr<Training>{layout_->train(loss, rule, each.data(), nullptr)}->moments();
    lanes_.reset(layout_->many(loss, rule, each.data()));
    one_by_one_.reset(new OneByOne{*layout_, loss, rule, std::move(each), layout_.single() ? sizeof(float) : sizeof(double),
                                   layout_.size(), layout_.outputs(), layout_.reads_levels()});
  }

  // Whether networks of this kind can lie in lanes.
  bool lanes() const { return lanes_ != nullptr; }

  void steps(bool in_lanes, nb::handle inputs, nb::handle targets, nb::handle weights, const AnyArray& which,
             const OwnArray& parameters, const OwnArray& before, const std::vector<OwnArray>& moments,
             const OwnArray& steps_taken, const AnyArray& seeds, const AnyArray& rates, const AnyArray& l1, const AnyArray& l2,
             nb::handle order, nb::handle begins, Index batch_size, const AnyArray& factors, const OwnArray& losses,
             const OwnArray& done, int threads) {
    const GivenRows given{layout_, loss_, inputs, targets, weights};
    Members members = members_of(which, parameters);
    const Index networks = Index(parameters.shape(0));
    check("before", before, layout_.type(), {networks, layout_.size()});
    members.before = before.data();
    if (int(moments.size()) != moments_) throw nb::value_error("moments has another number of arrays than the optimizer");
    for (std::size_t m = 0; m < moments.size(); ++m) {
      check("moments", moments[m], layout_.type(), {networks, layout_.size()});
      members.moments[m] = moments[m].data();
    }
    check("steps_taken", steps_taken, nb::dtype<std::uint64_t>(), {networks});
    check("seeds", seeds, nb::dtype<std::uint64_t>(), {networks});
    members.steps_taken = static_cast<std::uint64_t*>(steps_taken.data());
    members.seeds = static_cast<const std::uint64_t*>(seeds.data());
    for (Index i = 1; i < members.count; ++i)
      if (members.steps_taken[members.which[i]] != members.steps_taken[members.which[0]])
        throw nb::value_error("steps_taken differs from member to member");
    members.rates = of_networks("rates", rates, networks);
    take_penalties(l1, l2, networks, members);
    AnyArray orders[2];
    ManySteps steps = steps_of(given, order, begins, batch_size, members.count, orders);
    check("factors", factors, nb::dtype<double>(), {-1});
    steps.factors = static_cast<const double*>(factors.data());
    steps.count = Index(factors.shape(0));
    check_batches(steps, members.count);
    check_way(in_lanes, given.rows);
    steps.losses_stride = rows_of_losses(losses, members.count, steps.count);
    check("done", done, nb::dtype<std::int64_t>(), {members.count});
    call(in_lanes, threads, Denormals::zeros, [&](Many& many, Team& team, const Interrupt& interrupt) {
      many.steps(given.rows, members, steps, static_cast<double*>(losses.data()), static_cast<Index*>(done.data()), team,
                 interrupt);
    });
  }

  void evaluate(bool in_lanes, nb::handle inputs, nb::handle targets, nb::handle weights, const AnyArray& which,
                const OwnArray& parameters, nb::handle order, nb::handle begins, const OwnArray& losses, int threads) {
    const GivenRows given{layout_, loss_, inputs, targets, weights};
    const Members members = members_of(which, parameters);
    AnyArray orders[2];
    const ManySteps steps = steps_of(given, order, begins, 0, members.count, orders);
    check_way(in_lanes, given.rows);
    if (!in_lanes && steps.order != nullptr) throw nb::value_error("one by one, networks are asked about all rows");
    check("losses", losses, nb::dtype<double>(), {members.count});
    call(in_lanes, threads, Denormals::kept, [&](Many& many, Team& team, const Interrupt& interrupt) {
      many.evaluate(given.rows, members, steps, static_cast<double*>(losses.data()), team, interrupt);
    });
  }

  void run(bool in_lanes, nb::handle inputs, const AnyArray& which, const OwnArray& parameters, nb::handle order,
           nb::handle begins, const OwnArray& outputs, int threads) {
    const GivenRows given{layout_, inputs};
    const Members members = members_of(which, parameters);
    AnyArray orders[2];
    const ManySteps steps = steps_of(given, order, begins, 0, members.count, orders);
    check_way(in_lanes, given.rows);
    if (!in_lanes && steps.order != nullptr) throw nb::value_error("one by one, networks are asked about all rows");
    Index rows = given.rows.count;
    if (steps.begins != nullptr)
      for (Index i = 0; i < members.count; ++i) {
        rows = steps.begins[1] - steps.begins[0];
        if (steps.begins[i + 1] - steps.begins[i] != rows) throw nb::value_error("begins has members with other numbers of rows");
      }
    check("outputs", outputs, layout_.type(), {members.count, rows, layout_.outputs()});
    call(in_lanes, threads, Denormals::kept, [&](Many& many, Team& team, const Interrupt& interrupt) {
      many.run(given.rows, members, steps, outputs.data(), team, interrupt);
    });
  }

 private:
  Members members_of(const AnyArray& which, const OwnArray& parameters) const {
    check("parameters", parameters, layout_.type(), {-1, layout_.size()});
    check("which", which, nb::dtype<std::int64_t>(), {-1});
    Members members;
    members.count = Index(which.shape(0));
    members.which = static_cast<const Index*>(which.data());
    members.parameters = parameters.data();
    constexpr Index most = 1000000;  // a team counts its pieces in 20 bits
    if (members.count < 1 || members.count > most) throw nb::value_error("which has no members, or more than a million");
    std::vector<bool> named(parameters.shape(0));
    for (Index i = 0; i < members.count; ++i) {
      const Index network = members.which[i];
      if (network < 0 || network >= Index(parameters.shape(0)) || named[std::size_t(network)])
        throw nb::index_error("which names a network that is not there, or one twice");
      named[std::size_t(network)] = true;
    }
    return members;
  }

  static const double* of_networks(const char* name, const AnyArray& array, Index networks) {
    check(name, array, nb::dtype<double>(), {networks});
    return static_cast<const double*>(array.data());
  }
  static void take_penalties(const AnyArray& l1, const AnyArray& l2, Index networks, Members& members) {
    members.l1 = of_networks("l1", l1, networks);
    members.l2 = of_networks("l2", l2, networks);
  }

  // The rows that members take. `arrays` hold what is pointed to.
  ManySteps steps_of(const GivenRows& given, nb::handle order, nb::handle begins, Index batch_size, Index members,
                     AnyArray (&arrays)[2]) const {
    ManySteps steps;
    if (batch_size < 0) throw nb::value_error("batch_size is less than 0");
    steps.batch_size = batch_size;
    if (order.is_none()) {
      given.check_contents();
      if (!begins.is_none() || batch_size > 0) throw nb::value_error("begins and batch_size want an order");
      return steps;
    }
    arrays[0] = array_of("order", order);
    check("order", arrays[0], nb::dtype<std::int64_t>(), {-1});
    steps.order = static_cast<const Index*>(arrays[0].data());
    steps.order_size = Index(arrays[0].shape(0));
    for (Index i = 0; i < steps.order_size; ++i)
      if (steps.order[i] < 0 || steps.order[i] >= given.rows.count)
        throw nb::index_error(("order has the row " + std::to_string(steps.order[i]) + " of " +
                               std::to_string(given.rows.count)).c_str());
    given.check_contents(steps.order, steps.order_size);
    if (steps.order_size == 0) throw nb::value_error("order has no rows");
    if (begins.is_none()) return steps;
    arrays[1] = array_of("begins", begins);
    check("begins", arrays[1], nb::dtype<std::int64_t>(), {members + 1});
    steps.begins = static_cast<const Index*>(arrays[1].data());
    for (Index i = 0; i < members; ++i)
      if (steps.begins[i] < 0 || steps.begins[i + 1] <= steps.begins[i] || steps.begins[i + 1] > steps.order_size)
        throw nb::value_error(("begins leaves member " + std::to_string(i) + " no rows of its order").c_str());
    return steps;
  }

  static void check_batches(const ManySteps& steps, Index members) {
    if (steps.batch_size == 0) return;
    for (Index i = 0; i < (steps.begins == nullptr ? 1 : members); ++i) {
      const Index rows = steps.begins == nullptr ? steps.order_size : steps.begins[i + 1] - steps.begins[i];
      if ((rows + steps.batch_size - 1) / steps.batch_size < steps.count)
        throw nb::value_error("factors has more steps than a member's order has batches");
    }
  }

  // Losses may be some columns of a larger array: a row of them is contiguous, and rows are so far apart.
  static Index rows_of_losses(const OwnArray& losses, Index members, Index steps) {
    if (losses.ndim() != 2 || Index(losses.shape(0)) != members || Index(losses.shape(1)) != steps ||
        losses.dtype() != nb::dtype<double>() || (steps > 1 && losses.stride(1) != 1) || Index(losses.stride(0)) < steps)
      throw nb::value_error(("losses has shape " + shape_of(losses) + "; expected (" + std::to_string(members) + ", " +
                             std::to_string(steps) + ") of float64, its rows contiguous").c_str());
    return Index(losses.stride(0));
  }

  void check_way(bool in_lanes, const Rows& rows) const {
    if (in_lanes && !lanes_) throw nb::value_error("networks with these layers do not lie in lanes");
    if (in_lanes && (rows.begins != nullptr || rows.encoding != nullptr))
      throw nb::value_error("networks in lanes read plain arrays alone");
  }

  template <class Work>
  void call(bool in_lanes, int threads, Denormals denormals, const Work& work) {
    const int most = checked(threads);
    const Gate::Turn turn{gate_};
    without_gil([&] {
      Team team{most, denormals};
      work(in_lanes ? *lanes_ : static_cast<Many&>(*one_by_one_), team, {ctrl_c, nullptr});
    });
    raise_if_interrupted();
  }

  nb::object held_layout_;  // alive as long as this
  BoundLayout& layout_;
  BoundLoss loss_;
  int moments_ = 0;  // that the optimizer remembers
  std::unique_ptr<Many> lanes_, one_by_one_;
  Gate gate_;
};

// Objects of the engine that are not in use. One is taken, and given back, by exchanging a pointer: there is no lock that
// a fork, a handler of signals or another thread could find closed.
template <class Object>
class Pool {
 public:
  using Maker = Object* (Layout::*)() const;
  Pool(const Layout& layout, Maker make) : layout_{layout}, make_{make} {}
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() {
    for (std::atomic<Object*>& spare : spares_) delete spare.load();
  }

  class Borrowed {
   public:
    explicit Borrowed(Pool& from) : from_{from} {
      for (std::atomic<Object*>& spare : from.spares_)
        if ((object_ = spare.exchange(nullptr)) != nullptr) return;
      object_ = (from.layout_.*from.make_)();
    }
    ~Borrowed() {
      if (object_->worth_keeping())
        for (std::atomic<Object*>& spare : from_.spares_)
          if (Object* none = nullptr; spare.compare_exchange_strong(none, object_)) return;
      delete object_;
    }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;
    Object* operator->() const { return object_; }

   private:
    Pool& from_;
    Object* object_ = nullptr;
  };

 private:
  const Layout& layout_;
  Maker make_;
  std::atomic<Object*> spares_[4]{};
};

// Answers for rows, with as little around the arithmetic as can be: what needs a second look is answered with None. It
// only reads, so any number of threads may ask at once.
class BoundRunner {
 public:
  BoundRunner(nb::object layout, nb::object parameters, nb::object empty, int threads)
      : held_layout_{std::move(layout)}, held_parameters_{std::move(parameters)}, empty_{std::move(empty)},
        layout_{BoundLayout::of(held_layout_)}, threads_{checked(threads)}, runners_{*layout_, &Layout::run},
        differentiators_{*layout_, &Layout::differentiate} {
    const AnyArray flat = array_of("parameters", held_parameters_);
    check("parameters", flat, layout_.type(), {layout_.size()});
    parameters_ = flat.data();
    dtype_ = held_parameters_.attr("dtype");
  }

  nb::object operator()(nb::handle inputs, nb::object out) {
    if (Py_TYPE(inputs.ptr()) != Py_TYPE(held_parameters_.ptr())) return nb::none();  // not an array, or a special kind
    const View view{inputs, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT};
    Rows rows;
    bool one_row = false;
    if (!take(view, rows, one_row)) return nb::none();
    return answer(rows, one_row, std::move(out));
  }

  // d outputs / d inputs, (rows, outputs, inputs), or (outputs, inputs) of one row; None where a closer look is needed.
  nb::object jacobian(nb::handle inputs) {
    return differentiate(inputs, layout_.outputs(), [&](Differentiator& by, const Rows& rows, void* into, Team& team, const Interrupt& interrupt) {
      return by.jacobian(parameters_, rows, into, team, interrupt);
    });
  }

  // The second derivatives of one output, (rows, inputs, inputs), or (inputs, inputs).
  nb::object hessian(nb::handle inputs, Index output) {
    const Index n = layout_.inputs();
    if (output < 0 || output >= layout_.outputs()) throw nb::index_error("there is no such output");
    return differentiate(inputs, n, [&](Differentiator& by, const Rows& rows, void* into, Team& team, const Interrupt& interrupt) {
      return by.hessian(parameters_, rows, output, into, team, interrupt);
    });
  }

  // Answers for sparse rows, (data, indices, indptr, columns), and compact ones, (numbers, levels, encoding).
  nb::object rows(const nb::tuple& inputs, nb::object out) {
    const GivenRows given{layout_, inputs};
    if (given.rows.count == 0) return nb::none();
    given.check_contents();
    return answer(given.rows, false, std::move(out));
  }

 private:
  // Whether an array is rows as they are, or one row.
  bool take(const View& view, Rows& rows, bool& one_row) const {
    const Index n = layout_.inputs();
    if (!view.is(layout_.single() ? "f" : "d")) return false;
    one_row = view.buffer.ndim == 1 && view.shape(0) == n && n > 1;
    if (!one_row && (view.buffer.ndim != 2 || view.shape(1) != n || view.shape(0) == 0)) return false;
    if (!(layout_.single() ? finite(static_cast<const float*>(view.buffer.buf), view.count())
                           : finite(static_cast<const double*>(view.buffer.buf), view.count())))
      return false;
    rows.count = one_row ? 1 : view.shape(0);
    rows.inputs = view.buffer.buf;
    return layout_.are_all_levels(rows.inputs, rows.count);
  }

  // Matrices of `lines` lines of inputs, one a row of the data.
  template <class Work>
  nb::object differentiate(nb::handle inputs, Index lines, const Work& work) {
    if (Py_TYPE(inputs.ptr()) != Py_TYPE(held_parameters_.ptr())) return nb::none();
    const View view{inputs, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT};
    Rows rows;
    bool one_row = false;
    if (!take(view, rows, one_row)) return nb::none();
    const Index n = layout_.inputs();
    nb::object out = one_row ? empty_(nb::make_tuple(lines, n), dtype_) : empty_(nb::make_tuple(rows.count, lines, n), dtype_);
    const View written{out, PyBUF_WRITABLE};
    const Pool<Differentiator>::Borrowed by{differentiators_};
    bool knows = false;
    if (rows.count * layout_.size_for_a_row() * lines < short_work) {
      Team team{1};
      knows = work(*by.operator->(), rows, written.buffer.buf, team, {});
    } else {
      without_gil([&] {
        Team team{threads_};
        knows = work(*by.operator->(), rows, written.buffer.buf, team, {ctrl_c, nullptr});
      });
    }
    raise_if_interrupted();
    return knows ? out : nb::none();
  }

  // Whether memory of the caller's is such as answers are written into.
  bool fits(const View& out, Index rows, bool one_row) const {
    return out.is(layout_.single() ? "f" : "d") && out.buffer.ndim == (one_row ? 1 : 2) &&
           out.shape(one_row ? 0 : 1) == layout_.outputs() && (one_row || out.shape(0) == rows);
  }

  nb::object answer(const Rows& rows, bool one_row, nb::object out) {
    const Index m = layout_.outputs();
    const bool given = !out.is_none();
    if (!given) out = one_row ? empty_(m, dtype_) : empty_(nb::make_tuple(rows.count, m), dtype_);
    const View written{out, given ? PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE | PyBUF_FORMAT : PyBUF_WRITABLE};
    if (given && !fits(written, rows.count, one_row)) return nb::none();
    const Pool<Runner>::Borrowed runner{runners_};
    if (rows.count * layout_.size_for_a_row() < short_work) {
      Team team{1};
      runner->run(parameters_, rows, written.buffer.buf, team, {});
    } else {
      without_gil([&] {
        Team team{threads_};
        runner->run(parameters_, rows, written.buffer.buf, team, {ctrl_c, nullptr});
      });
    }
    raise_if_interrupted();
    return out;
  }

  nb::object held_layout_, held_parameters_, empty_, dtype_;
  BoundLayout& layout_;
  int threads_;
  Pool<Runner> runners_;
  Pool<Differentiator> differentiators_;
  const void* parameters_;
};

// The loss of some rows around the parameters, to second order.
class BoundCurvature {
 public:
  BoundCurvature(nb::object layout, const BoundLoss& loss, const RuleSpec& rule, nb::object parameters, int threads,
                 const std::vector<double>& factors, nb::handle inputs, nb::handle targets, nb::handle weights)
      : held_layout_{std::move(layout)}, held_parameters_{std::move(parameters)}, layout_{BoundLayout::of(held_layout_)},
        loss_{loss}, threads_{checked(threads)}, given_{layout_, loss, inputs, targets, weights} {
    layout_.check_fits(loss);
    const OwnArray flat = own_array_of("parameters", held_parameters_);
    if (layout_.single()) throw nb::type_error("layout is of float32; a curvature is found in float64");
    check("parameters", flat, layout_.type(), {layout_.size()});
    curvature_.reset(layout_->bend(loss, rule, layout_.factors_of(factors).data(), flat.data()));
    is_short_ = given_.rows.count * layout_.size_for_a_row() * layout_.outputs() < short_work;
  }

  Curvature::Measured measure(double decay) {
    Curvature::Measured found{};
    call([&](Team& team, const Interrupt& interrupt) { found = curvature_->measure(given_.rows, decay, team, interrupt); });
    measured_ = true;
    return found;
  }

  // Iterations of Levenberg and Marquardt's method into `losses` and `dampings`; returns how many, why they ended, and
  // damping and growth before the last and after it. `point` and `scaling_before` become what was before the last.
  nb::tuple descend(double damping, double growth, double goal, double min_gradient, double max_damping,
                    const OwnArray& losses, const OwnArray& dampings, const OwnArray& point, const OwnArray& scaling_before) {
    check("losses", losses, nb::dtype<double>(), {-1});
    const Index count = Index(losses.shape(0)), n = size();
    check("dampings", dampings, nb::dtype<double>(), {count});
    check("point", point, nb::dtype<double>(), {n});
    check("scaling_before", scaling_before, nb::dtype<double>(), {n});
    Curvature::Descent how{goal, min_gradient, max_damping, damping, growth};
    Index done = 0;
    call(
        [&](Team& team, const Interrupt& interrupt) {
          done = curvature_->descend(given_.rows, how, count, static_cast<double*>(losses.data()),
                                     static_cast<double*>(dampings.data()), team, interrupt);
        },
        count);
    measured_ = true;
    std::memcpy(point.data(), curvature_->point(), std::size_t(n) * sizeof(double));
    std::memcpy(scaling_before.data(), curvature_->scaling_before(), std::size_t(n) * sizeof(double));
    return nb::make_tuple(done, int(how.why), how.damping_before, how.growth_before, how.damping, how.growth);
  }

  nb::object step(double damping, double decay) {
    check_measured();
    Curvature::Trial trial{};
    bool solved = false;
    call([&](Team& team, const Interrupt& interrupt) {
      solved = curvature_->step(given_.rows, damping, decay, trial, team, interrupt);
    });
    return solved ? nb::cast(trial) : nb::none();
  }

  void back() {
    if (measured_) curvature_->back();
  }

  double effective_parameters(double decay) {
    check_measured();
    double found = 0;
    call([&](Team& team, const Interrupt&) { found = curvature_->effective_parameters(decay, team); });
    return found;
  }

  Index size() const { return curvature_->size(); }
  double* scaling() const { return curvature_->scaling(); }

 private:
  void check_measured() const {
    if (!measured_) throw std::runtime_error("nothing has been measured yet");
  }

  template <class Work>
  void call(const Work& work, Index times = 1) {
    given_.check_contents();  // the arrays are the caller's
    const Gate::Turn turn{gate_};
    if (is_short_ && times < 100) {
      Team team{1, Denormals::zeros};
      work(team, {});
    } else {
      without_gil([&] {
        Team team{threads_, Denormals::zeros};
        work(team, {ctrl_c, nullptr});
      });
    }
    raise_if_interrupted();
  }

  nb::object held_layout_, held_parameters_;  // alive as long as this
  BoundLayout& layout_;
  BoundLoss loss_;
  int threads_;
  GivenRows given_;
  std::unique_ptr<Curvature> curvature_;
  bool is_short_ = false, measured_ = false;
  Gate gate_;
};

nb::object apply(const std::string& function, const AnyArray& array, const std::string& level) {
  const bool single = array.dtype() == nb::dtype<float>();
  check("array", array, single ? nb::dtype<float>() : nb::dtype<double>(), {-1});
  const nb::object outputs =
      nb::module_::import_("numpy").attr("empty")(array.shape(0), single ? "float32" : "float64");
  const auto written = nb::cast<OwnArray>(outputs);
  if (!find_level(level).apply(function.c_str(), single, array.data(), written.data(), Index(array.shape(0))))
    throw nb::value_error(("function is '" + function + "', which is not known").c_str());
  return outputs;
}

}  // namespace
}  // namespace nineline

NB_MODULE(_native, module) {
  using namespace nineline;
  nb::set_leak_warnings(false);

  nb::class_<BoundLayer>(module, "LayerSpec");
  module.def(
      "dense",
      [](Index inputs, Index outputs, bool bias, const std::string& activation, double setting) {
        BoundLayer layer = layer_of("dense", inputs);
        layer.spec.outputs = outputs;
        layer.spec.bias = bias;
        layer.spec.activation = Activation(number_of(plainest::names().activations, activation, "activation"));
        layer.spec.setting = setting;
        return layer;
      },
      nb::arg("inputs"), nb::arg("outputs"), nb::arg("bias"), nb::arg("activation"), nb::arg("setting") = 0.0);
  module.def(
      "dropout",
      [](Index inputs, double rate, std::uint64_t draws) {
        BoundLayer layer = layer_of("dropout", inputs);
        layer.spec.rate = rate;
        layer.spec.draws = draws;
        return layer;
      },
      nb::arg("inputs"), nb::arg("rate"), nb::arg("draws") = 0);
  module.def(
      "embedding",
      [](Index inputs, std::vector<Index> levels, std::vector<Index> widths) {
        BoundLayer layer = layer_of("embedding", inputs);
        layer.levels = std::move(levels);
        layer.widths = std::move(widths);
        return layer;
      },
      nb::arg("inputs"), nb::arg("levels"), nb::arg("widths"));
  module.def(
      "layer_norm",
      [](Index inputs, double epsilon) {
        BoundLayer layer = layer_of("layer_norm", inputs);
        layer.spec.epsilon = epsilon;
        return layer;
      },
      nb::arg("inputs"), nb::arg("epsilon"));
  module.def(
      "shortcut",
      [](Index inputs, Index from) {
        BoundLayer layer = layer_of("shortcut", inputs);
        layer.spec.from = from;
        return layer;
      },
      nb::arg("inputs"), nb::arg("from_"));

  nb::class_<BoundLoss>(module, "LossSpec");
  module.def(
      "loss",
      [](const std::string& name, double setting, bool mean, std::vector<double> settings) {
        BoundLoss loss{{Loss(number_of(plainest::names().losses, name, "loss")), setting, mean, nullptr, 0}, nullptr};
        if (settings.empty()) return loss;
        if (!plainest::has_setting_of_each(loss.kind)) throw nb::value_error((name + " has no setting for each output").c_str());
        loss.kept = std::make_shared<const std::vector<double>>(std::move(settings));
        loss.settings = loss.kept->data();
        loss.setting_count = Index(loss.kept->size());
        return loss;
      },
      nb::arg("name"), nb::arg("setting") = 0.0, nb::arg("mean") = true, nb::arg("settings") = std::vector<double>{});

  nb::class_<RuleSpec>(module, "RuleSpec");
  module.def(
      "rule",
      [](const std::string& optimizer, double momentum, bool nesterov, double beta_1, double beta_2, double epsilon,
         bool epsilon_hat, double weight_decay, double l1, double l2, bool penalty_by_rows, double clip_norm,
         std::uint64_t seed) {
        const auto kind = Optimizer(number_of(plainest::names().optimizers, optimizer, "optimizer"));
        return RuleSpec{kind, momentum, nesterov, beta_1, beta_2, epsilon, epsilon_hat, weight_decay, l1, l2,
                        penalty_by_rows, clip_norm, seed};
      },
      nb::arg("optimizer"), nb::kw_only(), nb::arg("momentum") = 0.0, nb::arg("nesterov") = false, nb::arg("beta_1") = 0.0,
      nb::arg("beta_2") = 0.0, nb::arg("epsilon") = 0.0, nb::arg("epsilon_hat") = false,
      nb::arg("weight_decay") = 0.0, nb::arg("l1") = 0.0, nb::arg("l2") = 0.0, nb::arg("penalty_by_rows") = false,
      nb::arg("clip_norm") = 0.0, nb::arg("seed") = 0);

  nb::class_<BoundLayout>(module, "Layout")
      .def(nb::init<const std::string&, const std::string&, std::vector<BoundLayer>>(), nb::arg("level"),
           nb::arg("dtype"), nb::arg("layers"));

  nb::class_<BoundEncoding>(module, "Encoding")
      .def(nb::init<Index>(), nb::arg("width"))
      .def("add_number", &BoundEncoding::add_number, nb::arg("column"), nb::arg("place"), nb::arg("edges"),
           nb::arg("bent"), nb::arg("missing"))
      .def("add_level", &BoundEncoding::add_level, nb::arg("column"), nb::arg("place"), nb::arg("levels"));

  nb::class_<BoundTraining>(module, "Training")
      .def(nb::init<nb::object, const BoundLoss&, const RuleSpec&, nb::object, int, const std::vector<double>&>(),
           nb::arg("layout"), nb::arg("loss"), nb::arg("rule"), nb::arg("parameters"), nb::arg("threads"),
           nb::arg("factors") = std::vector<double>{})
      .def("step", &BoundTraining::step, nb::arg("inputs").none(), nb::arg("targets").none(), nb::arg("rate"))
      .def("steps", &BoundTraining::steps, nb::arg("inputs").none(), nb::arg("targets").none(), nb::arg("weights").none(),
           nb::arg("order").none(), nb::arg("batch_size"), nb::arg("rates"), nb::arg("losses").noconvert(),
           nb::arg("add_up").none() = nb::none(), nb::arg("mean") = false)
      .def("gradient", &BoundTraining::gradient, nb::arg("inputs").none(), nb::arg("targets").none(),
           nb::arg("weights").none(), nb::arg("into").noconvert(), nb::arg("loss").none() = nb::none(),
           nb::arg("order").none() = nb::none())
      .def("move", &BoundTraining::move, nb::arg("gradient"), nb::arg("rate"))
      .def("undo", &BoundTraining::undo)
      .def("before", &BoundTraining::before, nb::arg("into").noconvert())
      .def("evaluate", &BoundTraining::evaluate, nb::arg("inputs").none(), nb::arg("targets").none(),
           nb::arg("weights").none())
      .def("read", &BoundTraining::read, nb::arg("moments").noconvert())
      .def("write", &BoundTraining::write, nb::arg("moments"), nb::arg("before"), nb::arg("steps_taken"))
      .def_prop_ro("steps_taken", &BoundTraining::steps_taken)
      .def_prop_rw("seed", &BoundTraining::seed, &BoundTraining::set_seed)
      .def_prop_rw("threads", &BoundTraining::threads, &BoundTraining::set_threads);

  nb::class_<BoundMany>(module, "Many")
      .def(nb::init<nb::object, const BoundLoss&, const RuleSpec&, const std::vector<double>&>(), nb::arg("layout"),
           nb::arg("loss"), nb::arg("rule"), nb::arg("factors"))
      .def_prop_ro("lanes", &BoundMany::lanes)
      .def("steps", &BoundMany::steps, nb::arg("in_lanes"), nb::arg("inputs"), nb::arg("targets"),
           nb::arg("weights").none(), nb::arg("which"), nb::arg("parameters").noconvert(), nb::arg("before").noconvert(),
           nb::arg("moments").noconvert(), nb::arg("steps_taken").noconvert(), nb::arg("seeds"), nb::arg("rates"),
           nb::arg("l1"), nb::arg("l2"), nb::arg("order").none(), nb::arg("begins").none(), nb::arg("batch_size"),
           nb::arg("factors"), nb::arg("losses").noconvert(), nb::arg("done").noconvert(), nb::arg("threads"))
      .def("evaluate", &BoundMany::evaluate, nb::arg("in_lanes"), nb::arg("inputs"), nb::arg("targets"),
           nb::arg("weights").none(), nb::arg("which"), nb::arg("parameters").noconvert(), nb::arg("order").none(),
           nb::arg("begins").none(), nb::arg("losses").noconvert(), nb::arg("threads"))
      .def("run", &BoundMany::run, nb::arg("in_lanes"), nb::arg("inputs"), nb::arg("which"),
           nb::arg("parameters").noconvert(), nb::arg("order").none(), nb::arg("begins").none(),
           nb::arg("outputs").noconvert(), nb::arg("threads"));

  nb::class_<BoundRunner>(module, "Runner")
      .def(nb::init<nb::object, nb::object, nb::object, int>(), nb::arg("layout"), nb::arg("parameters"), nb::arg("empty"),
           nb::arg("threads"))
      .def("__call__", &BoundRunner::operator(), nb::arg("inputs").none(), nb::arg("out").none() = nb::none())
      .def("jacobian", &BoundRunner::jacobian, nb::arg("inputs").none())
      .def("hessian", &BoundRunner::hessian, nb::arg("inputs").none(), nb::arg("output"))
      .def("rows", &BoundRunner::rows, nb::arg("inputs"), nb::arg("out").none() = nb::none());

  nb::class_<Curvature::Measured>(module, "Measured")
      .def_ro("loss", &Curvature::Measured::loss)
      .def_ro("squares", &Curvature::Measured::squares)
      .def_ro("steepest", &Curvature::Measured::steepest);
  nb::class_<Curvature::Trial>(module, "Trial")
      .def_ro("foreseen", &Curvature::Trial::foreseen)
      .def_ro("loss", &Curvature::Trial::loss)
      .def_ro("squares", &Curvature::Trial::squares);
  nb::class_<BoundCurvature>(module, "Curvature")
      .def(nb::init<nb::object, const BoundLoss&, const RuleSpec&, nb::object, int, const std::vector<double>&, nb::handle,
                    nb::handle, nb::handle>(),
           nb::arg("layout"), nb::arg("loss"), nb::arg("rule"), nb::arg("parameters"), nb::arg("threads"), nb::arg("factors"),
           nb::arg("inputs"), nb::arg("targets"), nb::arg("weights").none())
      .def("measure", &BoundCurvature::measure, nb::arg("decay"))
      .def("step", &BoundCurvature::step, nb::arg("damping"), nb::arg("decay"))
      .def("back", &BoundCurvature::back)
      .def("descend", &BoundCurvature::descend, nb::arg("damping"), nb::arg("growth"), nb::arg("goal"),
           nb::arg("min_gradient"), nb::arg("max_damping"), nb::arg("losses").noconvert(), nb::arg("dampings").noconvert(),
           nb::arg("point").noconvert(), nb::arg("scaling_before").noconvert())
      .def("effective_parameters", &BoundCurvature::effective_parameters, nb::arg("decay"))
      .def_prop_ro("size", &BoundCurvature::size)
      .def_prop_ro("scaling", [](BoundCurvature& self) {
        const std::size_t shape[1] = {std::size_t(self.size())};
        return nb::ndarray<nb::numpy, double>(self.scaling(), 1, shape, nb::find(self));
      });

  module.def("apply", &apply, nb::arg("function"), nb::arg("array"), nb::arg("level"));
  module.def("levels", &levels);
}

// The only file that knows Python: checks what comes through the door, gives up the GIL, and calls the engine.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kernels.hpp"
#include "threads.hpp"

namespace nb = nanobind;

namespace nineline {
namespace {

// The instruction sets

struct Level {
  const char* name;
  bool (*runs_here)();
  Model* (*make_model)(bool, const LayerPlan*, Index, const LossPlan&, const RulePlan&);
  bool (*apply)(const char*, bool, const void*, void*, Index);
};

// From the plainest to the fastest.
const Level all_levels[] = {
    {"baseline", [] { return true; }, baseline::make_model, baseline::apply},
#ifdef NINELINE_X86
    {"avx2", [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }, avx2::make_model,
     avx2::apply},
    {"avx512",
     [] {
       return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
     },
     avx512::make_model, avx512::apply},
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
  for (std::size_t d = array.ndim(); d-- > 0;) {
    if (array.shape(d) > 1 && array.stride(d) != stride)
      throw nb::value_error((std::string(name) + " is not C-contiguous; numpy.ascontiguousarray makes it so").c_str());
    stride *= Index(array.shape(d));
  }
}

AnyArray array_of(const char* name, const nb::object& object) {
  AnyArray array;
  if (!nb::try_cast(object, array)) throw nb::type_error((std::string(name) + " is not an array of numbers").c_str());
  return array;
}

template <std::size_t n>
int number_of(const char* const (&names)[n], const std::string& name, const char* what) {
  for (std::size_t i = 0; i < n; ++i)
    if (name == names[i]) return int(i);
  throw nb::value_error((std::string(what) + " is '" + name + "', which the native engine does not know").c_str());
}

bool ctrl_c(void*) {
  const DenormalsHere here{Denormals::kept};  // a handler of signals is Python
  nb::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

// Raises what Ctrl-C left behind.
void raise_if_interrupted() {
  if (PyErr_Occurred() != nullptr) throw nb::python_error();
}

// The model

class BoundModel {
 public:
  BoundModel(const std::string& level, const std::string& dtype, std::vector<LayerPlan> layers, const LossPlan& loss,
             const RulePlan& rule)
      : single_{dtype == "float32"}, layers_{std::move(layers)}, rule_{rule} {
    if (!single_ && dtype != "float64") throw nb::value_error(("dtype is '" + dtype + "'; expected float32 or float64").c_str());
    check_layers(loss);
    model_.reset(find_level(level).make_model(single_, layers_.data(), Index(layers_.size()), loss, rule));
  }

  Index steps(const OwnArray& parameters, const std::vector<OwnArray>& memory, const AnyArray& inputs,
              const AnyArray& targets, const nb::object& weights, const nb::object& order, Index batch_size,
              const AnyArray& rates, const OwnArray& losses, std::uint64_t first, int threads) {
    check("parameters", parameters, type(), {size_});
    if (int(memory.size()) != memory_size(rule_))
      throw nb::value_error(("memory has " + std::to_string(memory.size()) + " vectors; expected " +
                             std::to_string(memory_size(rule_))).c_str());
    void* vectors[2] = {};
    for (std::size_t i = 0; i < memory.size(); ++i) {
      check("memory", memory[i], type(), {size_});
      vectors[i] = memory[i].data();
    }
    const Held held{*this, inputs, targets, weights};
    check("rates", rates, nb::dtype<double>(), {-1});
    Steps steps;
    AnyArray order_array;
    if (!order.is_none()) {
      order_array = array_of("order", order);
      check("order", order_array, nb::dtype<std::int64_t>(), {-1});
      steps.order = static_cast<const Index*>(order_array.data());
      steps.order_size = Index(order_array.shape(0));
      if (batch_size < 1) throw nb::value_error("batch_size is less than 1");
      for (Index i = 0; i < steps.order_size; ++i)
        if (steps.order[i] < 0 || steps.order[i] >= held.data.rows)
          throw nb::index_error(("order has the row " + std::to_string(steps.order[i]) + " of " +
                                 std::to_string(held.data.rows)).c_str());
    }
    steps.batch_size = batch_size;
    steps.rates = static_cast<const double*>(rates.data());
    steps.count = Index(rates.shape(0));
    check("losses", losses, nb::dtype<double>(), {steps.count});
    const Index batches = steps.order == nullptr ? steps.count
                          : steps.order_size / batch_size + (steps.order_size % batch_size != 0 ? 1 : 0);
    if (steps.count > batches)
      throw nb::value_error("rates has more steps than order has batches");
    steps.first = first;
    Index done = 0;
    {
      nb::gil_scoped_release released;
      const std::lock_guard<std::mutex> lock{mutex_};
      Team team{checked(threads), Denormals::zeros};
      done = model_->steps(parameters.data(), vectors, held.data, steps, static_cast<double*>(losses.data()), team, {ctrl_c, nullptr});
    }
    raise_if_interrupted();
    return done;
  }

  double gradient(const AnyArray& parameters, const AnyArray& inputs, const AnyArray& targets,
                  const nb::object& weights, const OwnArray& into, std::uint64_t first, int threads) {
    check("parameters", parameters, type(), {size_});
    check("into", into, type(), {size_});
    const Held held{*this, inputs, targets, weights};
    double loss = 0;
    {
      nb::gil_scoped_release released;
      const std::lock_guard<std::mutex> lock{mutex_};
      Team team{checked(threads), Denormals::zeros};
      loss = model_->gradient(parameters.data(), held.data, first, into.data(), team, {ctrl_c, nullptr});
    }
    raise_if_interrupted();
    return loss;
  }

  void undo(const OwnArray& parameters) {
    check("parameters", parameters, type(), {size_});
    const nb::gil_scoped_release released;
    const std::lock_guard<std::mutex> lock{mutex_};
    model_->undo(parameters.data());
  }

  double evaluate(const AnyArray& parameters, const AnyArray& inputs, const AnyArray& targets,
                  const nb::object& weights, int threads) {
    check("parameters", parameters, type(), {size_});
    const Held held{*this, inputs, targets, weights};
    double loss = 0;
    {
      nb::gil_scoped_release released;
      const std::lock_guard<std::mutex> lock{mutex_};
      Team team{checked(threads)};
      loss = model_->evaluate(parameters.data(), held.data, team, {ctrl_c, nullptr});
    }
    raise_if_interrupted();
    return loss;
  }

  void run(const AnyArray& parameters, const AnyArray& inputs, const OwnArray& outputs, int threads) {
    check("parameters", parameters, type(), {size_});
    check("inputs", inputs, type(), {-1, layers_.front().inputs});
    const Index rows = Index(inputs.shape(0));
    check("outputs", outputs, type(), {rows, layers_.back().outputs});
    compute(parameters.data(), inputs.data(), rows, outputs.data(), threads);
    raise_if_interrupted();
  }

  // A few rows keep the GIL, for giving it up takes longer than they do.
  void compute(const void* parameters, const void* inputs, Index rows, void* outputs, int threads) {
    if (rows * size_ < 20000) {
      const std::unique_lock<std::mutex> lock{mutex_, std::try_to_lock};
      if (lock.owns_lock()) {
        Team team{1};
        model_->run(parameters, inputs, rows, outputs, team, {});
        return;
      }
    }
    const nb::gil_scoped_release released;
    const std::lock_guard<std::mutex> lock{mutex_};
    Team team{checked(threads)};
    model_->run(parameters, inputs, rows, outputs, team, {ctrl_c, nullptr});
  }

  bool single() const { return single_; }
  Index size() const { return size_; }
  Index inputs() const { return layers_.front().inputs; }
  Index outputs() const { return layers_.back().outputs; }

 private:
  // Checked data.
  struct Held {
    Data data;
    AnyArray weights;
    Held(const BoundModel& model, const AnyArray& inputs, const AnyArray& targets, const nb::object& given) {
      check("inputs", inputs, model.type(), {-1, model.inputs()});
      data.rows = Index(inputs.shape(0));
      if (data.rows == 0) throw nb::value_error("inputs has no rows");
      check("targets", targets, model.type(), {data.rows, model.outputs()});
      data.inputs = inputs.data();
      data.targets = targets.data();
      if (!given.is_none()) {
        weights = array_of("weights", given);
        check("weights", weights, model.type(), {data.rows});
        data.weights = weights.data();
      }
    }
  };

  nb::dlpack::dtype type() const { return single_ ? nb::dtype<float>() : nb::dtype<double>(); }
  static int checked(int threads) {
    if (threads < 1 || threads > 1024)
      throw nb::value_error(("threads is " + std::to_string(threads) + "; expected 1 to 1024").c_str());
    return threads;
  }

  void check_layers(const LossPlan& loss) {
    if (layers_.empty() || !layers_.back().dense) throw nb::value_error("the last layer is not a dense one");
    Index width = layers_.front().inputs;
    for (LayerPlan& layer : layers_) {
      if (layer.inputs != width) throw nb::value_error("a layer does not take what the one before it gives");
      if (!layer.dense) layer.outputs = width;
      constexpr Index most = Index(1) << 31;
      if (layer.inputs < 1 || layer.outputs < 1 || layer.inputs > most || layer.outputs > most)
        throw nb::value_error("a layer has a width below 1 or above 2^31");
      if (layer.dense) size_ += (layer.inputs + (layer.bias ? 1 : 0)) * layer.outputs;
      if (size_ > Index(1) << 40) throw nb::value_error("the network has more than 2^40 parameters");
      width = layer.outputs;
    }
    const Activation output = layers_.back().activation;
    const bool fits = loss.kind == Loss::binary_cross_entropy ? output == Activation::sigmoid
                      : loss.kind == Loss::cross_entropy      ? output == Activation::softmax
                                                              : true;
    if (!fits) throw nb::value_error("the loss does not fit the output activation");
  }

  bool single_;
  std::vector<LayerPlan> layers_;
  RulePlan rule_;
  Index size_ = 0;
  std::unique_ptr<Model> model_;
  std::mutex mutex_;
};

// Answers for rows, with as little around the arithmetic as can be: what needs a second look is answered with None.
class Runner {
 public:
  Runner(nb::object model, nb::object parameters, nb::object empty, int threads)
      : model_{std::move(model)}, parameters_{std::move(parameters)}, empty_{std::move(empty)},
        dtype_{parameters_.attr("dtype")}, threads_{threads}, bound_{&nb::cast<BoundModel&>(model_)} {
    const auto array = nb::cast<AnyArray>(parameters_);
    check("parameters", array, bound_->single() ? nb::dtype<float>() : nb::dtype<double>(), {bound_->size()});
    data_ = array.data();
  }

  nb::object operator()(nb::handle inputs) {
    if (Py_TYPE(inputs.ptr()) != Py_TYPE(parameters_.ptr())) return nb::none();  // not an array, or a special kind
    View given{inputs, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT};
    if (!given.held) {
      PyErr_Clear();
      return nb::none();
    }
    const Py_buffer& view = given.view;
    const char* format = bound_->single() ? "f" : "d";
    if (view.format == nullptr || std::strcmp(view.format, format) != 0) return nb::none();
    const bool one_row = view.ndim == 1 && view.shape[0] == bound_->inputs() && bound_->inputs() > 1;
    if (!one_row && (view.ndim != 2 || view.shape[1] != bound_->inputs() || view.shape[0] == 0)) return nb::none();
    const Index rows = one_row ? 1 : view.shape[0];
    if (!(bound_->single() ? finite<float>(view) : finite<double>(view))) return nb::none();

    nb::object outputs = one_row ? empty_(bound_->outputs(), dtype_) : empty_(nb::make_tuple(rows, bound_->outputs()), dtype_);
    View written{outputs, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE};
    if (!written.held) throw nb::python_error();
    bound_->compute(data_, view.buf, rows, written.view.buf, threads_);
    raise_if_interrupted();
    return outputs;
  }

 private:
  struct View {
    Py_buffer view;
    bool held;
    View(nb::handle of, int flags) : held{PyObject_GetBuffer(of.ptr(), &view, flags) == 0} {}
    ~View() {
      if (held) PyBuffer_Release(&view);
    }
    View(const View&) = delete;
    View& operator=(const View&) = delete;
  };

  template <class T>
  static bool finite(const Py_buffer& view) {
    const T* numbers = static_cast<const T*>(view.buf);
    const Index count = view.len / Index(sizeof(T));
    T zeros[8] = {};  // x * 0 is 0 for every finite x, and NaN for the others
    Index i = 0;
    for (; i + 8 <= count; i += 8)
      for (int j = 0; j < 8; ++j) zeros[j] += numbers[i + j] * 0;
    for (; i < count; ++i) zeros[0] += numbers[i] * 0;
    T all = 0;
    for (const T zero : zeros) all += zero;
    return all == 0;
  }

  nb::object model_, parameters_, empty_, dtype_;
  int threads_;
  BoundModel* bound_;
  const void* data_;
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

  nb::class_<LayerPlan>(module, "LayerPlan");
  module.def(
      "dense",
      [](Index inputs, Index outputs, bool bias, const std::string& activation, double setting, double weights_factor,
         double bias_factor) {
        LayerPlan plan;
        plan.inputs = inputs;
        plan.outputs = outputs;
        plan.bias = bias;
        plan.activation = Activation(number_of(activation_names, activation, "activation"));
        plan.setting = setting;
        plan.weights_factor = weights_factor;
        plan.bias_factor = bias_factor;
        return plan;
      },
      nb::arg("inputs"), nb::arg("outputs"), nb::arg("bias"), nb::arg("activation"), nb::arg("setting") = 0.0,
      nb::arg("weights_factor") = 1.0, nb::arg("bias_factor") = 1.0);
  module.def(
      "dropout",
      [](Index width, double rate) {
        LayerPlan plan;
        plan.dense = false;
        plan.inputs = plan.outputs = width;
        plan.rate = rate;
        return plan;
      },
      nb::arg("width"), nb::arg("rate"));

  nb::class_<LossPlan>(module, "LossPlan");
  module.def(
      "loss",
      [](const std::string& name, double setting, bool mean) {
        return LossPlan{Loss(number_of(loss_names, name, "loss")), setting, mean};
      },
      nb::arg("name"), nb::arg("setting") = 0.0, nb::arg("mean") = true);

  nb::class_<RulePlan>(module, "RulePlan");
  module.def(
      "rule",
      [](const std::string& name, double momentum, bool nesterov, double beta_1, double beta_2, double epsilon,
         bool epsilon_hat, double weight_decay, double l1, double l2, bool penalty_by_rows, double clip_norm,
         std::uint64_t seed) {
        return RulePlan{Rule(number_of(rule_names, name, "rule")), momentum, nesterov, beta_1, beta_2, epsilon,
                        epsilon_hat, weight_decay, l1, l2, penalty_by_rows, clip_norm, seed};
      },
      nb::arg("name"), nb::kw_only(), nb::arg("momentum") = 0.0, nb::arg("nesterov") = false, nb::arg("beta_1") = 0.0,
      nb::arg("beta_2") = 0.0, nb::arg("epsilon") = 0.0, nb::arg("epsilon_hat") = false,
      nb::arg("weight_decay") = 0.0, nb::arg("l1") = 0.0, nb::arg("l2") = 0.0, nb::arg("penalty_by_rows") = false,
      nb::arg("clip_norm") = 0.0, nb::arg("seed") = 0);

  nb::class_<BoundModel>(module, "Model")
      .def(nb::init<const std::string&, const std::string&, std::vector<LayerPlan>, const LossPlan&, const RulePlan&>(),
           nb::arg("level"), nb::arg("dtype"), nb::arg("layers"), nb::arg("loss"), nb::arg("rule"))
      .def("steps", &BoundModel::steps, nb::arg("parameters").noconvert(), nb::arg("memory").noconvert(), nb::arg("inputs"),
           nb::arg("targets"), nb::arg("weights").none(), nb::arg("order").none(), nb::arg("batch_size"),
           nb::arg("rates"), nb::arg("losses").noconvert(), nb::arg("first"), nb::arg("threads"))
      .def("gradient", &BoundModel::gradient, nb::arg("parameters"), nb::arg("inputs"), nb::arg("targets"),
           nb::arg("weights").none(), nb::arg("into").noconvert(), nb::arg("first"), nb::arg("threads"))
      .def("undo", &BoundModel::undo, nb::arg("parameters").noconvert())
      .def("evaluate", &BoundModel::evaluate, nb::arg("parameters"), nb::arg("inputs"), nb::arg("targets"),
           nb::arg("weights").none(), nb::arg("threads"))
      .def("run", &BoundModel::run, nb::arg("parameters"), nb::arg("inputs"), nb::arg("outputs").noconvert(),
           nb::arg("threads"));

  nb::class_<Runner>(module, "Runner")
      .def(nb::init<nb::object, nb::object, nb::object, int>(), nb::arg("model"), nb::arg("parameters"), nb::arg("empty"),
           nb::arg("threads"))
      .def("__call__", &Runner::operator(), nb::arg("inputs").none());

  module.def("apply", &apply, nb::arg("function"), nb::arg("array"), nb::arg("level"));
  module.def("levels", &levels);
}

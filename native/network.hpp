// A network: layers over one padded vector of parameters, and the passage of rows through them and back.
//
// Twins: Network in src/nineline/network.py, loss_and_gradients in src/nineline/engines/reference.py.
#pragma once

#include "layers.hpp"
#include "losses.hpp"

namespace nineline::NINELINE_LEVEL {

inline constexpr Index tile_rows = 96;

template <class T>
class Network {
 public:
  Network(const LayerPlan* plans, Index count) : layers_{count}, count_{count} {
    Index flat = 0, place = 0;
    Index stride = plans[0].inputs;
    bool padded = false;  // what a layer reads; the data are not, and when the network runs dropout passes them on
    bool learned = false;
    for (Index l = 0; l < count; ++l) {
      Layer& at = *new (&layers_[l]) Layer{};
      static_cast<LayerPlan&>(at) = plans[l];
      at.input_stride = stride;
      if (at.dense) {
        at.input_is_packed = !padded;
        at.turned = padded && at.outputs * (at.input_stride / width<T> + 3) <= at.inputs;
        at.stride = at.turned ? at.outputs : round_up(at.outputs, width<T>);
        at.learns_inputs = learned;
        learned = true;
        at.flat = flat;
        at.place = place;
        at.weights = at.rows_of_weights() * at.stride_of_weights();
        at.size = at.weights + (at.bias ? round_up(at.outputs, width<T>) : 0);
        flat += at.flat_size();
        place += round_up(at.size, width<T>);
        work_ += double(at.inputs) * double(at.stride) * (at.learns_inputs ? 3 : 2) + 40 * double(at.stride);
        padded = !at.turned;
      } else {
        at.stride = l == 0 ? round_up(at.inputs, width<T>) : stride;
      }
      at.keeps_z = at.dense && at.activation != Activation::softmax && needs_z(at.activation);
      stride = at.stride;
    }
    flat_size_ = flat;
    size_ = place;
  }

  // The last layer's weighted sums are kept where the loss is taken from them.
  void joins(Loss loss) {
    if (joined(loss, last().activation)) last().keeps_z = true;
  }

  // The first layer leaves out zeros where these data are mostly that.
  void look_for_zeros(const T* inputs, Index rows) {
    layers_[0].skips_zeros = is_mostly_zeros(inputs, rows, layers_[0].inputs);
  }

  Index count() const { return count_; }
  Layer& layer(Index l) const { return layers_[l]; }
  Layer& last() const { return layers_[count_ - 1]; }
  Index inputs() const { return layers_[0].inputs; }
  Index outputs() const { return last().outputs; }
  Index flat_size() const { return flat_size_; }
  Index size() const { return size_; }  // of a padded vector

  void pack(const T* flat, T* padded) const {
    for (Index l = 0; l < count_; ++l)
      if (layers_[l].dense) NINELINE_LEVEL::pack(layers_[l], flat + layers_[l].flat, padded + layers_[l].place);
  }
  void unpack(const T* padded, T* flat) const {
    for (Index l = 0; l < count_; ++l)
      if (layers_[l].dense) NINELINE_LEVEL::unpack(layers_[l], padded + layers_[l].place, flat + layers_[l].flat);
  }

  // About how many multiplications and additions a row takes, there and back.
  double work_of_a_row() const { return work_; }

 private:
  Array<Layer> layers_;
  Index count_;
  Index flat_size_ = 0, size_ = 0;
  double work_ = 0;
};

// A span of rows: where they begin in a Passage, how many they are, and the number that the first has in its batch.
struct Span {
  Index first, rows, in_batch;
};

// Rows on their way through the network: what every layer makes of them, and on the way back the errors of its weighted
// sums. It has room for a whole batch, or for a tile at a time.
template <class T>
class Passage {
 public:
  Passage(const Network<T>& network, Index room)
      : network_{&network}, room_{room}, inputs{room}, outputs_{network.count()}, deltas_{network.count()},
        z_{network.count()}, masks_{network.count()} {
    for (Index l = 0; l < network.count(); ++l) {
      const Layer& at = network.layer(l);
      outputs_[l] = Tile<T>{room, at.stride};
      if (at.keeps_z) z_[l] = Array<T>{room * at.stride};
      if (at.dense) deltas_[l] = Tile<T>{room, at.stride};
      else masks_[l] = Array<T>{room * at.stride};
    }
    targets = Array<T>{room * network.last().stride};
    factors = Array<T>{room * network.last().stride};
  }
  ~Passage() {
    for (Index l = 0; l < network_->count(); ++l) {
      outputs_[l].~Tile<T>();
      deltas_[l].~Tile<T>();
      z_[l].~Array<T>();
      masks_[l].~Array<T>();
    }
  }
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;

  Index room() const { return room_; }
  const T* answers() const { return outputs_[network_->count() - 1].data(); }

  // Takes rows that `inputs` lists forward; `parameters[l]` are those of layer l.
  void forward(const T* const* parameters, Index rows) {
    Rows<T> from = inputs.data();
    for (Index l = 0; l < network_->count(); ++l) {
      if (!network_->layer(l).dense) continue;  // dropout passes everything on when the network runs
      forward(l, parameters[l], from, 0, rows);
      from = outputs_[l].rows();
    }
  }

  // The same as training sees it, where dropout draws.
  void forward_in_training(const T* const* parameters, const Span& span, std::uint64_t seed, std::uint64_t step) {
    Rows<T> from = inputs.data() + span.first;
    for (Index l = 0; l < network_->count(); ++l) {
      if (network_->layer(l).dense) forward(l, parameters[l], from, span.first, span.rows);
      else drop(l, Draw{seed, step, std::uint64_t(l)}, from, span);
      from = outputs_[l].rows(span.first);
    }
  }

  // The loss of rows that went forward; their errors stay here.
  T measure(const LossPlan& loss, Index first, Index rows) {
    const Layer& last = network_->last();
    const Index l = network_->count() - 1, begin = first * last.stride;
    const Answers<T> at{z(l, first), outputs_[l].row(first), targets.data() + begin, factors.data() + begin, rows,
                        last.outputs, last.stride};
    return NINELINE_LEVEL::measure(loss, last.activation, T(last.setting), at, deltas_[l].row(first));
  }

  // Takes the errors back to the first layer that learns.
  void backward(const T* const* parameters, const T* const* turned_over, Index first, Index rows) {
    for (Index l = network_->count() - 1; l >= 0; --l) {
      const Layer& at = network_->layer(l);
      if (!at.dense) continue;
      if (!at.learns_inputs) return;
      Index below = l - 1;
      while (!network_->layer(below).dense) --below;
      T* errors = deltas_[below].row(first);
      const T *sums = z(below, first), *outputs = outputs_[below].row(first);
      const Layer& lower = network_->layer(below);
      if (below == l - 1 && is_small<T>(rows, at.input_stride) && lower.activation != Activation::softmax) {
        small_errors(at, lower, at.turned ? parameters[l] : turned_over[l], deltas_[l].row(first), rows, sums, outputs,
                     errors);
        continue;
      }
      const bool behind_relu = below == l - 1 && lower.activation == Activation::relu;
      if (input_errors(at, parameters[l], turned_over[l], deltas_[l].rows(first), rows,
                       behind_relu ? outputs : nullptr, errors))
        continue;
      for (Index dropout = l - 1; dropout > below; --dropout) {
        const T* mask = masks_[dropout].data() + first * at.input_stride;
        for (Index i = 0; i < rows * at.input_stride; i += width<T>)
          store(errors + i, load(errors + i) * load(mask + i));
      }
      carry_back(lower.activation, T(lower.setting), sums, outputs, errors, rows, lower.outputs, lower.stride);
    }
  }

  // A block of a layer's gradient, (+)= from the first rows; `bias` may be null.
  void learn(Index l, Index rows, const Block& block, bool adding, Matrix<T> weights, T* bias) const {
    const Layer& at = network_->layer(l);
    learn_weights(at, l == 0 ? inputs.data() : outputs_[l - 1].rows(), deltas_[l].rows(), rows, block, adding, weights);
    if (bias != nullptr)
      learn_bias(at, deltas_[l].data(), rows, block.first_column, block.columns, adding, bias);
  }

  // The gradient of all parameters, (+)= from the first rows, as a padded vector.
  void learn(Index rows, bool adding, T* gradient) const {
    for (Index l = network_->count() - 1; l >= 0; --l) {
      const Layer& at = network_->layer(l);
      if (!at.dense) continue;
      const Index stride = at.stride_of_weights();
      T* weights = gradient + at.place;
      learn(l, rows, {0, at.rows_of_weights(), 0, stride}, adding, {weights, stride},
            at.bias ? weights + at.weights : nullptr);
    }
  }

 private:
  const T* z(Index l, Index first) const {
    return z_[l] ? z_[l].data() + first * network_->layer(l).stride : nullptr;
  }

  void forward(Index l, const T* parameters, Rows<T> from, Index first, Index rows) {
    const Layer& at = network_->layer(l);
    T* outputs = outputs_[l].row(first);
    NINELINE_LEVEL::forward(at, parameters, from, rows, at.keeps_z ? const_cast<T*>(z(l, first)) : outputs, outputs);
  }

  void drop(Index l, const Draw& draw, Rows<T> from, const Span& span) {
    const Layer& at = network_->layer(l);
    T *mask = masks_[l].data() + span.first * at.stride, *outputs = outputs_[l].row(span.first);
    for (Index r = 0; r < span.rows; ++r, mask += at.stride, outputs += at.stride) {
      draw.mask(at.rate, span.in_batch + r, at.inputs, mask);
      for (Index i = 0; i < at.inputs; ++i) outputs[i] = from[r][i] * mask[i];
    }
  }

  const Network<T>* network_;
  Index room_;

 public:
  Array<const T*> inputs;       // the rows, wherever they lie
  Array<T> targets, factors;    // laid out as the last layer's outputs
  const void* holds = nullptr;  // the inputs of a whole batch that need not be laid out again
  Index rows_with_factors = 0;  // and what the rows count, where all have the same
  T same_factor = 0;

 private:
  Array<Tile<T>> outputs_, deltas_;
  Array<Array<T>> z_, masks_;
};

}  // namespace nineline::NINELINE_LEVEL

// A network: layers over one padded vector of parameters, and a tile of rows on its way through them and back.
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

// What one thread needs to take a tile of rows through a network: every layer's outputs, and on the way back the errors
// of its weighted sums.
template <class T>
class Worker {
 public:
  explicit Worker(const Network<T>& network)
      : network_{&network}, inputs{tile_rows}, outputs_{network.count()}, deltas_{network.count()}, z_{network.count()},
        masks_{network.count()} {
    for (Index l = 0; l < network.count(); ++l) {
      const Layer& at = network.layer(l);
      outputs_[l] = Tile<T>{tile_rows, at.stride};
      if (at.keeps_z) z_[l] = Array<T>{tile_rows * at.stride};
      if (at.dense) deltas_[l] = Tile<T>{tile_rows, at.stride};
    }
    targets = Array<T>{tile_rows * network.last().stride};
    factors = Array<T>{tile_rows * network.last().stride};
  }
  ~Worker() {
    for (Index l = 0; l < network_->count(); ++l) {
      outputs_[l].~Tile<T>();
      deltas_[l].~Tile<T>();
      z_[l].~Array<T>();
      masks_[l].~Array<T>();
    }
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  const T* answers() const { return outputs_[network_->count() - 1].data(); }

  // Takes the rows that `inputs` lists forward; `parameters[l]` are those of layer l.
  void forward(const T* const* parameters, Index rows) {
    Rows<T> from = inputs.data();
    for (Index l = 0; l < network_->count(); ++l) {
      const Layer& at = network_->layer(l);
      if (!at.dense) continue;  // dropout passes everything on when the network runs
      T* outputs = outputs_[l].data();
      NINELINE_LEVEL::forward(at, parameters[l], from, rows, at.keeps_z ? z_[l].data() : outputs, outputs);
      from = outputs_[l].rows();
    }
  }

  // The same as training sees it, where dropout draws; `first` is the number of the tile's first row in its batch.
  void forward_in_training(const T* const* parameters, Index rows, Index first, std::uint64_t seed,
                           std::uint64_t step) {
    Rows<T> from = inputs.data();
    for (Index l = 0; l < network_->count(); ++l) {
      const Layer& at = network_->layer(l);
      T* outputs = outputs_[l].data();
      if (at.dense) {
        NINELINE_LEVEL::forward(at, parameters[l], from, rows, at.keeps_z ? z_[l].data() : outputs, outputs);
      } else {
        if (!masks_[l]) masks_[l] = Array<T>{tile_rows * at.stride};
        drop(at, Draw{seed, step, std::uint64_t(l)}, from, rows, first, masks_[l].data(), outputs);
      }
      from = outputs_[l].rows();
    }
  }

  // The loss of the tile that went forward; its errors stay here.
  T measure(const LossPlan& loss, Index rows) {
    const Layer& last = network_->last();
    const Index l = network_->count() - 1;
    const Answers<T> at{z_[l].data(), outputs_[l].data(), targets.data(), factors.data(), rows, last.outputs,
                        last.stride};
    return NINELINE_LEVEL::measure(loss, last.activation, T(last.setting), at, deltas_[l].data());
  }

  // Takes the errors back, and every layer's gradient into (or, adding, onto) a padded vector.
  void backward(const T* const* parameters, const T* const* turned_over, Index rows, bool adding, T* gradient) {
    for (Index l = network_->count() - 1; l >= 0; --l) {
      const Layer& at = network_->layer(l);
      if (!at.dense) continue;
      const Rows<T> from = l == 0 ? inputs.data() : outputs_[l - 1].rows();
      learn(at, from, deltas_[l], rows, adding, gradient + at.place);
      if (!at.learns_inputs) return;
      Index below = l - 1;
      while (!network_->layer(below).dense) --below;
      T* errors = deltas_[below].data();
      const Layer& lower = network_->layer(below);
      if (below == l - 1 && is_small<T>(rows, at.input_stride) && lower.activation != Activation::softmax) {
        small_errors(at, lower, at.turned ? parameters[l] : turned_over[l], deltas_[l].data(), rows, z_[below].data(),
                     outputs_[below].data(), errors);
        continue;
      }
      input_errors(at, parameters[l], turned_over[l], deltas_[l], rows, errors);
      for (Index dropout = l - 1; dropout > below; --dropout)
        for (Index i = 0; i < rows * at.input_stride; i += width<T>)
          store(errors + i, load(errors + i) * load(masks_[dropout].data() + i));
      carry_back(lower.activation, T(lower.setting), z_[below].data(), outputs_[below].data(), errors, rows,
                 lower.outputs, lower.stride);
    }
  }

 private:
  static void drop(const Layer& at, const Draw& draw, Rows<T> from, Index rows, Index first, T* mask, T* outputs) {
    for (Index r = 0; r < rows; ++r) {
      draw.mask(at.rate, first + r, at.inputs, mask + r * at.stride);
      for (Index i = 0; i < at.inputs; ++i) outputs[r * at.stride + i] = from[r][i] * mask[r * at.stride + i];
    }
  }

  const Network<T>* network_;

 public:
  Array<const T*> inputs;       // the rows of the tile, wherever they lie
  Array<T> targets, factors;    // laid out as the last layer's outputs
  const void* holds = nullptr;  // the inputs of a whole batch that fits in one tile and need not be laid out again
  Index rows_with_factors = 0;  // and what they are, where all have the same
  T same_factor = 0;

 private:
  Array<Tile<T>> outputs_, deltas_;
  Array<Array<T>> z_, masks_;
};

}  // namespace nineline::NINELINE_LEVEL

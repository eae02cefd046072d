// Derivatives of a network's outputs by its inputs.
//
// The Jacobian is the way back with an error of 1 at one output after another, all outputs of some rows at once. The
// Hessian of an output adds up what each layer bends, along the directions of the inputs that have come so far, weighed
// by the errors that have come back. Twins: jacobian and hessian in src/nineline/engines/derivatives.py.
#pragma once

#include "each_output.hpp"

namespace nineline::NINELINE_LEVEL {

template <class T>
class Differentiator final : public nineline::Differentiator {
 public:
  explicit Differentiator(const Layout<T>& layout) : layout_{layout}, placed_{layout, true} {}

  bool jacobian(const void* parameters, const Rows& rows, void* into, Team& team, const Interrupt& interrupt) override {
    if (layout_.layer(0).vectors != nullptr) return false;
    const Index n = layout_.inputs(), outputs = layout_.outputs(), size = outputs * n;
    const Partition parts = prepare(parameters, rows, outputs, team);
    const Batch<T> batch{rows, nullptr, rows.count};
    InterruptPoll poll{interrupt};
    team.each(parts.parts, false, [&](int who, Index part) {
      EachOutput<T>& each = rooms_[who];
      tiles(parts.begin(part), parts.end(part), each.room(), who, poll, [&](Index first, Index count) {
        forward(each, batch, first, count);
        each.backward(placed_, count, layout_.first_running(), false, [](Index, Index) { return T(1); });
        T* const slopes = slopes_.data() + who * room_of_slopes();
        each.pairs().errors_of_data(placed_.parameters(), count * outputs, slopes);
        __builtin_memcpy(static_cast<T*>(into) + first * size, slopes, count * size * sizeof(T));
      });
    });
    return true;
  }

  bool hessian(const void* parameters, const Rows& rows, Index output, void* into, Team& team,
               const Interrupt& interrupt) override {
    for (Index l = 0; l < layout_.count(); ++l)
      if (runs(layout_.layer(l).kind) && !is<Dense>(layout_.layer(l).kind)) return false;
    const Index n = layout_.inputs();
    const Partition parts = prepare(parameters, rows, n, team);
    const Batch<T> batch{rows, nullptr, rows.count};
    if (directions_.size() < rooms_.size()) directions_ = List<Directions>{rooms_.size(), layout_};
    InterruptPoll poll{interrupt};
    team.each(parts.parts, false, [&](int who, Index part) {
      EachOutput<T>& each = rooms_[who];
      tiles(parts.begin(part), parts.end(part), each.room(), who, poll, [&](Index first, Index count) {
        forward(each, batch, first, count);
        for (Index r = 0; r < count; ++r)
          bend(static_cast<const T*>(parameters), each.rows, r, output, directions_[who],
               static_cast<T*>(into) + (first + r) * n * n);
      });
    });
    return true;
  }

  bool worth_keeping() const override {
    constexpr Index most = Index(1) << 26;
    return rooms_.size() * layout_.tile_rows() * layout_.bytes_of_a_row() * 2 <= most;
  }

 private:
  // The directions of one row's inputs at each layer's weighted sums, and the errors of one output on their way back.
  struct Directions {
    List<Array<T>> sums;
    Array<T> outputs, errors, bent, other;

    explicit Directions(const Layout<T>& layout) : sums{layout.count()} {
      const Index n = layout.inputs();
      Index widest = n;
      for (Index l = 0; l < layout.count(); ++l) {
        sums[l] = Array<T>{n * round_up(layout.layer(l).outputs, width<T>)};
        widest = larger(widest, layout.layer(l).outputs);
      }
      widest = round_up(widest, width<T>);
      outputs = Array<T>{n * widest};
      errors = Array<T>{widest};
      bent = Array<T>{widest};
      other = Array<T>{widest};
    }
  };

  Index room_of_slopes() const {
    const Index rows = larger(1, layout_.tile_rows() / layout_.outputs()) * layout_.outputs();
    return rows * larger(layout_.inputs(), layout_.layer(layout_.first_running()).input_stride) + width<T>;
  }

  Partition prepare(const void* parameters, const Rows& rows, Index times, Team& team) {
    placed_.take(static_cast<const T*>(parameters));
    const Partition parts = partition(rows.count, layout_.work_of_a_row() * double(times));
    const Index workers = parts.parts == 1 ? 1 : team.threads();
    if (rooms_.size() < workers) {
      rooms_ = List<EachOutput<T>>{};  // before there are others
      slopes_ = Array<T>{workers * room_of_slopes()};
      rooms_ = List<EachOutput<T>>{workers, layout_, layout_.tile_rows()};  // last: they say that there is room
    }
    return parts;
  }

  void forward(EachOutput<T>& each, const Batch<T>& batch, Index first, Index count) const {
    list_inputs(layout_, batch, first, count, placed_[0], static_cast<const T*>(nullptr), each.rows);
    each.rows.forward(placed_.parameters(), count);
  }

  // The Hessian of one output of row r, by parameters as Python has them.
  void bend(const T* parameters, const Workspace<T>& at, Index r, Index output, Directions& on, T* into) const {
    constexpr Index w = width<T>;
    const Index n = layout_.inputs(), first = layout_.first_running();
    __builtin_memset(into, 0, n * n * sizeof(T));
    for (Index l = first; l < layout_.count(); ++l) {
      const Layer& layer = layout_.layer(l);
      if (!runs(layer.kind)) continue;
      const Index stride = round_up(layer.outputs, w);
      T* const sums = on.sums[l].data();
      const T* const weights = parameters + layer.flat;
      if (l == first) {
        for (Index i = 0; i < n; ++i) copy_row(weights + i * layer.outputs, layer.outputs, sums + i * stride);
      } else {
        for (Index i = 0; i < n; ++i) {
          for (Index o = 0; o < layer.outputs; ++o) sums[i * stride + o] = 0;
          for (Index k = 0; k < layer.inputs; ++k) {
            const T factor = on.outputs[i * round_up(layer.inputs, w) + k];
            for (Index o = 0; o < layer.outputs; ++o) sums[i * stride + o] += factor * weights[k * layer.outputs + o];
          }
        }
      }
      const T *const z = sums_of(at, l, r), *const y = at.outputs_of(l, r);
      if (is<Softmax>(layer.activation)) {
        for (Index i = 0; i < n; ++i) {
          T mean = 0;
          for (Index o = 0; o < layer.outputs; ++o) mean += y[o] * sums[i * stride + o];
          for (Index o = 0; o < layer.outputs; ++o) sums[i * stride + o] -= mean;
          for (Index o = 0; o < layer.outputs; ++o) on.outputs[i * stride + o] = y[o] * sums[i * stride + o];
        }
      } else {
        with_slopes(layer, z, y, on.other.data(), [](auto f, auto z, auto y, auto a) { return f.slope(z, y, a); });
        for (Index i = 0; i < n; ++i)
          for (Index o = 0; o < layer.outputs; ++o) on.outputs[i * stride + o] = on.other[o] * sums[i * stride + o];
      }
    }
    for (Index o = 0; o < layout_.outputs(); ++o) on.errors[o] = o == output ? T(1) : T(0);
    for (Index l = layout_.count() - 1; l >= first; --l) {
      const Layer& layer = layout_.layer(l);
      if (!runs(layer.kind)) continue;
      const Index stride = round_up(layer.outputs, w);
      const T *const sums = on.sums[l].data(), *const z = sums_of(at, l, r), *const y = at.outputs_of(l, r);
      if (is<Softmax>(layer.activation)) {
        T mean = 0;
        for (Index o = 0; o < layer.outputs; ++o) mean += y[o] * on.errors[o];
        for (Index o = 0; o < layer.outputs; ++o) on.bent[o] = on.other[o] = y[o] * (on.errors[o] - mean);
      } else {
        with_slopes(layer, z, y, on.bent.data(), [](auto f, auto z, auto y, auto a) { return f.bend(z, y, a); });
        with_slopes(layer, z, y, on.other.data(), [](auto f, auto z, auto y, auto a) { return f.slope(z, y, a); });
        for (Index o = 0; o < layer.outputs; ++o) {
          on.bent[o] *= on.errors[o];
          on.other[o] *= on.errors[o];
        }
      }
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j <= i; ++j) {
          T total = 0;
          for (Index o = 0; o < layer.outputs; ++o) total += on.bent[o] * sums[i * stride + o] * sums[j * stride + o];
          into[i * n + j] += total;
        }
      const T* const weights = parameters + layer.flat;
      for (Index k = 0; l > first && k < layer.inputs; ++k) {
        T total = 0;
        for (Index o = 0; o < layer.outputs; ++o) total += weights[k * layer.outputs + o] * on.other[o];
        on.errors[k] = total;
      }
    }
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < i; ++j) into[j * n + i] = into[i * n + j];
  }

  // The weighted sums of a row; its outputs, where nobody needs them.
  static const T* sums_of(const Workspace<T>& at, Index l, Index r) {
    const T* const z = at.sums_of(l, r);
    return z != nullptr ? z : at.outputs_of(l, r);
  }

  // to = f(z, y) for each output of a layer, with a function of its activation.
  template <class Function>
  static void with_slopes(const Layer& at, const T* z, const T* y, T* to, const Function& function) {
    const Vec<T> a = splat(T(at.setting));
    with_activation(at.activation, [&](auto f) {
      for (Index o = 0; o < at.outputs; o += width<T>) store(to + o, function(f, load(z + o), load(y + o), a));
    });
  }

  const Layout<T>& layout_;
  Placed<T> placed_;
  List<EachOutput<T>> rooms_;     // one a thread
  Array<T> slopes_;               // of their tiles
  List<Directions> directions_;
};

template <class T>
nineline::Differentiator* Layout<T>::differentiate() const {
  return new Differentiator<T>{*this};
}

}  // namespace nineline::NINELINE_LEVEL

// Training of many networks of one shape, as many at a time as a vector has lanes.
//
// A block of networks is taken into lanes, goes through all steps of a call, and is written back; threads share blocks.
// Where the loss of one stops being finite, its lane goes on with what no longer counts, and then the block begins again
// with that network held one step earlier: the others come out the same.
//
// Twins: training.hpp for one network, src/nineline/engines/stacked.py.
#pragma once

#include "lanes_layers.hpp"
#include "optimizers.hpp"

namespace nineline::NINELINE_LEVEL {

// A thread's own memory: a block of networks, and a tile of rows on their way through them.
template <class T>
class LanesWorkspace {
 public:
  LanesWorkspace(const Layout<T>& layout, int moments)
      : outputs{layout.count()}, errors{layout.count()}, z{layout.count()}, beside{layout.count()}, sources{layout.count()},
        listed{most_rows} {
    const Index w = lanes<T>, n = layout.flat_size();
    parameters = Array<T>{n * w};
    gradient = Array<T>{n * w};
    before = Array<T>{n * w};
    for (int m = 0; m < moments; ++m) this->moments[m] = Array<T>{n * w};
    Index numbers = layout.inputs() + layout.outputs() + 1;  // of a row
    for (Index l = 0; l < layout.count(); ++l) {
      const Layer& at = layout.layer(l);
      numbers += 2 * at.outputs + (at.keeps_z ? at.outputs : 0) + beside_of(at);
    }
    rows = larger(least_rows, smaller(most_rows, tile_bytes / (numbers * w * Index(sizeof(T))) / least_rows * least_rows));
    for (Index l = 0; l < layout.count(); ++l) {
      const Layer& at = layout.layer(l);
      outputs[l] = Array<T>{rows * at.outputs * w};
      errors[l] = Array<T>{rows * at.outputs * w};
      if (at.keeps_z) z[l] = Array<T>{rows * at.outputs * w};
      beside[l] = Array<T>{rows * beside_of(at) * w};
    }
    inputs = Array<T>{rows * layout.inputs() * w};
    targets = Array<T>{rows * layout.outputs() * w};
    factors = Array<T>{rows * w};
  }

  static Index beside_of(const Layer& at) {
    Index numbers = 0;
    with_kind(at.kind, [&](auto kind) {
      if constexpr (KindInLanes<decltype(kind)>::known) numbers = KindInLanes<decltype(kind)>::beside(at);
    });
    return numbers;
  }

  Index rows;  // of a tile
  Array<T> parameters, gradient, before, moments[most_moments];
  List<Array<T>> outputs, errors, z, beside;
  Array<Source<T>> sources;  // what layer l + 1 is given; `data` what the first is
  Source<T> data;
  Array<const T*> listed;  // rows of the data that all networks share
  Array<T> inputs, targets, factors;

 private:
  static constexpr Index tile_bytes = 24000, least_rows = 4, most_rows = 32;
};

template <class T>
class LanesTraining final : public nineline::Many {
 public:
  static constexpr Index w = lanes<T>;  // networks of a block
  using Work = LanesWorkspace<T>;

  LanesTraining(const Layout<T>& layout, const LossSpec& loss, const RuleSpec& rule, const double* factors)
      : layout_{layout}, loss_{loss}, rule_{rule}, factors_{layout.block_count()}, lowest_{layout.count() - 1} {
    for (Index block = 0; block < layout.block_count(); ++block) factors_[block] = factors[block];
    for (Index l = layout.count() - 1; l >= 0; --l)
      for (Index block = layout.layer(l).block; block < layout.layer(l).block + layout.layer(l).blocks(); ++block)
        if (factors_[block] != 0) lowest_ = l;
  }

  void steps(const Rows& rows, const Members& members, const ManySteps& steps, double* losses, Index* done, Team& team,
             const Interrupt& interrupt) override {
    each_block(members, team, interrupt, [&](Work& work, Index first, Index count, bool asks, InterruptPoll& poll) {
      Block block{*this, work, rows, members, steps, first, count};
      block.go(losses, done, asks, poll);
    });
  }

  void evaluate(const Rows& rows, const Members& members, const ManySteps& which, double* losses, Team& team,
                const Interrupt& interrupt) override {
    each_block(members, team, interrupt, [&](Work& work, Index first, Index count, bool asks, InterruptPoll& poll) {
      Block block{*this, work, rows, members, which, first, count};
      block.evaluate(losses, asks, poll);
    });
  }

  void run(const Rows& rows, const Members& members, const ManySteps& which, void* outputs, Team& team,
           const Interrupt& interrupt) override {
    each_block(members, team, interrupt, [&](Work& work, Index first, Index count, bool asks, InterruptPoll& poll) {
      Block block{*this, work, rows, members, which, first, count};
      block.run(static_cast<T*>(outputs), asks, poll);
    });
  }

 private:
  template <class Do>
  void each_block(const Members& members, Team& team, const Interrupt& interrupt, const Do& what) {
    if (works_.size() < team.threads()) works_ = List<Work>{team.threads(), layout_, moments_of(rule_.kind)};
    InterruptPoll poll{interrupt};
    team.each((members.count + w - 1) / w, false, [&](int who, Index block) {
      if (poll.stopped()) return;
      what(works_[who], block * w, smaller(w, members.count - block * w), who == 0, poll);
    });
  }

  // A few networks during one call.
  class Block {
   public:
    Block(const LanesTraining& of, Work& work, const Rows& rows, const Members& members, const ManySteps& steps,
          Index first, Index count)
        : of_{of}, layout_{of.layout_}, work_{work}, rows_{rows}, members_{members}, steps_{steps}, count_{count} {
      for (Index l = 0; l < w; ++l) {
        const Index lane = l < count ? l : 0;
        member_[l] = first + lane;
        network_[l] = members.which[first + lane];
        drawing_.seeds[l] = members.seeds == nullptr ? 0 : members.seeds[network_[l]];
        rates_[l / width<T>].each[l % width<T>] = members.rates == nullptr ? 0 : members.rates[network_[l]];
        l1_[l] = members.l1 == nullptr ? 0 : members.l1[network_[l]];
        l2_[l] = members.l2 == nullptr ? 0 : members.l2[network_[l]];
        penalised_ = penalised_ || l1_[l] != 0 || l2_[l] != 0;
      }
      shared_ = steps.begins == nullptr;
    }

    void go(double* losses, Index* done, bool asks, InterruptPoll& poll) {
      for (Index l = 0; l < w; ++l) limits_[l] = steps_.count;
      take();
      Index taken = 0;
      for (; taken < steps_.count; ++taken) {
        if (asks ? poll.over() : poll.stopped()) break;
        const bool whole = step(taken, false, losses, asks, poll);
        if (poll.stopped()) break;
        if (!whole && none_is_finite(losses, taken)) {
          ++taken;
          break;
        }
      }
      bool again = false;
      for (Index l = 0; l < count_; ++l) {
        const double* const mine = losses + member_[l] * steps_.losses_stride;
        Index finite = 0;
        while (finite < taken && __builtin_isfinite(mine[finite])) ++finite;
        const Index there = done[member_[l]] = smaller(finite + 1, taken);
        for (Index i = there; i < steps_.count; ++i) losses[member_[l] * steps_.losses_stride + i] = __builtin_nan("");
        if (finite == taken) continue;
        limits_[l] = finite - 1;  // its last step led here
        again = true;
      }
      if (again) {
        InterruptPoll never{{}};
        take();
        for (Index i = 0; i < taken; ++i) step(i, true, nullptr, false, never);
      }
      give(taken);
    }

    void evaluate(double* losses, bool asks, InterruptPoll& poll) {
      take_parameters();
      double total[w] = {};
      each_tile(0, asks, poll, [&](Index first, Index rows) {
        forward(first, rows, nullptr);
        measure(rows, total);
      });
      for (Index l = 0; l < count_; ++l) losses[member_[l]] = total[l];
    }

    // Writes the outputs, (members, rows, n_outputs).
    void run(T* outputs, bool asks, InterruptPoll& poll) {
      take_parameters();
      const Index m = layout_.outputs();
      begin_batch(0);
      for (Index first = 0; first < most_; first += work_.rows) {
        if (asks ? poll.over() : poll.stopped()) return;
        const Index rows = smaller(work_.rows, most_ - first);
        list_inputs(first, rows);
        forward(first, rows, nullptr);
        const T* const from = work_.outputs[layout_.count() - 1].data();
        for (Index l = 0; l < count_; ++l)
          for (Index i = 0; i < rows * m; ++i) outputs[(member_[l] * most_ + first) * m + i] = from[i * w + l];
      }
    }

   private:
    using Order = const Index*;

    // Networks into lanes, and back.

    template <class Number>
    void rows_of(Number* vectors, Number** into) const {
      for (Index l = 0; l < w; ++l) into[l] = vectors + network_[l] * layout_.flat_size();
    }
    void into(const void* vectors, const Array<T>& to) const {
      const T* from[w];
      rows_of(static_cast<const T*>(vectors), from);
      into_lanes(from, count_, layout_.flat_size(), to.data());
    }
    void out(const Array<T>& from, void* vectors) const {
      T* to[w];
      rows_of(static_cast<T*>(vectors), to);
      out_of_lanes(from.data(), count_, layout_.flat_size(), to);
    }

    void take_parameters() { into(members_.parameters, work_.parameters); }
    void take() {
      take_parameters();
      into(members_.before, work_.before);
      for (int m = 0; m < moments_of(of_.rule_.kind); ++m) into(members_.moments[m], work_.moments[m]);
    }
    // `taken` steps were taken; a network that is held took one more than it has kept.
    void give(Index taken) {
      if (taken < steps_.count) copy(work_.parameters, work_.before);  // it was interrupted, and nobody knows
      out(work_.parameters, members_.parameters);
      const std::size_t bytes = std::size_t(layout_.flat_size()) * sizeof(T);
      T *parameters[w], *before[w];
      rows_of(static_cast<T*>(members_.parameters), parameters);
      rows_of(static_cast<T*>(members_.before), before);
      for (Index l = 0; l < count_; ++l)
        if (limits_[l] < 0) __builtin_memcpy(parameters[l], before[l], bytes);  // the step was of the call before
      out(work_.before, members_.before);
      for (Index l = 0; l < count_; ++l) {
        const bool diverged = limits_[l] < steps_.count;
        if (diverged) __builtin_memcpy(before[l], parameters[l], bytes);
        members_.steps_taken[network_[l]] += std::uint64_t(diverged ? limits_[l] + 1 : taken);
      }
      for (int m = 0; m < moments_of(of_.rule_.kind); ++m) out(work_.moments[m], members_.moments[m]);
    }
    void copy(const Array<T>& from, const Array<T>& to) const {
      __builtin_memcpy(to.data(), from.data(), std::size_t(layout_.flat_size() * w) * sizeof(T));
    }

    // The rows of a step

    // Says which rows each network takes at step i, and what they weigh together.
    void begin_batch(Index i) {
      most_ = 0;
      for (Index l = 0; l < (shared_ ? 1 : w); ++l) {
        const Index begin = shared_ ? 0 : steps_.begins[member_[l]];
        const Index end = shared_ ? steps_.order_size : steps_.begins[member_[l] + 1];
        if (steps_.order == nullptr) {
          order_[l] = nullptr, size_[l] = rows_.count;
        } else if (steps_.batch_size == 0) {
          order_[l] = steps_.order + begin, size_[l] = end - begin;
        } else {
          order_[l] = steps_.order + begin + i * steps_.batch_size;
          size_[l] = smaller(steps_.batch_size, end - begin - i * steps_.batch_size);
        }
        most_ = larger(most_, size_[l]);
        weight_[l] = Batch<T>{rows_, order_[l], size_[l]}.total_weight();
        share_[l] = !of_.loss_.mean ? 1 : weight_[l] > 0 ? 1 / weight_[l] : 0;
      }
      for (Index l = 1; l < w && shared_; ++l) weight_[l] = weight_[0], share_[l] = share_[0];
    }
    // The number of a lane's row in the data; behind its last one, its first, which counts nothing there.
    Index row(Index l, Index r) const {
      const Index lane = shared_ ? 0 : l, at = r < size_[lane] ? r : 0;
      return order_[lane] == nullptr ? at : order_[lane][at];
    }

    void list_inputs(Index first, Index rows) {
      const Index n = layout_.inputs();
      const T* const data = static_cast<const T*>(rows_.inputs);
      if (shared_) {
        for (Index r = 0; r < rows; ++r) work_.listed[r] = data + row(0, first + r) * n;
        work_.data = {nullptr, n, work_.listed.data()};
        return;
      }
      for (Index r = 0; r < rows; ++r) {
        const T* from[w];
        for (Index l = 0; l < w; ++l) from[l] = data + row(l, first + r) * n;
        into_lanes(from, w, n, work_.inputs.data() + r * n * w);
      }
      work_.data = {work_.inputs.data(), n, nullptr};
    }

    T target(Index row, Index o) const {
      if (rows_.classes != nullptr) return rows_.classes[row] == o ? T(1) : T(0);
      return static_cast<const T*>(rows_.targets)[row * layout_.outputs() + o];
    }
    T factor(Index l, Index r) const {
      if (r >= size_[shared_ ? 0 : l]) return 0;
      return T(rows_.weights == nullptr ? share_[l] : share_[l] * double(static_cast<const T*>(rows_.weights)[row(l, r)]));
    }

    void list_targets(Index first, Index rows) {
      const Index m = layout_.outputs();
      for (Index r = 0; r < rows; ++r) {
        if (shared_) {
          const Index from = row(0, first + r);
          each_vector<T>([&](Index lane) {
            store(work_.factors.data() + r * w + lane, splat(factor(0, first + r)));
            for (Index o = 0; o < m; ++o) store(work_.targets.data() + (r * m + o) * w + lane, splat(target(from, o)));
          });
          continue;
        }
        for (Index l = 0; l < w; ++l) {
          const Index from = row(l, first + r);
          work_.factors[r * w + l] = factor(l, first + r);
          for (Index o = 0; o < m; ++o) work_.targets[(r * m + o) * w + l] = target(from, o);
        }
      }
    }

    // Calls what(first, rows) for the tiles of a step's rows, once they are listed. A batch that is a tile, and the same
    // at each step, stays as it is.
    template <class What>
    void each_tile(Index i, bool asks, InterruptPoll& poll, const What& what) {
      const bool same = steps_.order == nullptr || steps_.batch_size == 0;
      if (!same || !listed_) begin_batch(i);
      for (Index first = 0; first < most_; first += work_.rows) {
        if (first > 0 && (asks ? poll.over() : poll.stopped())) return;
        const Index rows = smaller(work_.rows, most_ - first);
        if (!listed_) {
          list_inputs(first, rows);
          list_targets(first, rows);
        }
        what(first, rows);
      }
      listed_ = same && most_ <= work_.rows;
    }

    // There and back

    const T* parameters_of(Index l) const { return work_.parameters.data() + layout_.layer(l).flat * w; }

    StageInLanes<T> stage(Index l, Index first, Index rows, const DrawingInLanes<T>* drawing) const {
      const Layer& at = layout_.layer(l);
      T* const outputs = work_.outputs[l].data();
      const Source<T> none{};
      const auto given = [&](Index from) { return from < 0 ? work_.data : work_.sources[from]; };
      return {parameters_of(l), rows, first, given(l - 1), is<Shortcut>(at.kind) ? given(at.from) : none,
              at.keeps_z ? work_.z[l].data() : outputs, outputs, work_.beside[l].data(), drawing};
    }

    void forward(Index first, Index rows, const DrawingInLanes<T>* drawing) {
      for (Index l = 0; l < layout_.count(); ++l) {
        const Layer& at = layout_.layer(l);
        if (drawing == nullptr && !runs(at.kind)) {
          work_.sources[l] = l == 0 ? work_.data : work_.sources[l - 1];
          continue;
        }
        with_kind(at.kind, [&](auto kind) {
          using Here = KindInLanes<decltype(kind)>;
          if constexpr (Here::known) Here::forward(at, stage(l, first, rows, drawing));
        });
        work_.sources[l] = {work_.outputs[l].data(), at.outputs, nullptr};
      }
    }

    void measure(Index rows, double* total) {
      const Index l = layout_.count() - 1;
      const Layer& last = layout_.last();
      const T* const y = work_.outputs[l].data();
      measure_in_lanes<T>(of_.loss_, last,
                          {last.keeps_z ? work_.z[l].data() : y, y, work_.targets.data(), work_.factors.data(), rows,
                           last.outputs},
                          work_.errors[l].data(), total);
    }

    void backward(Index first, Index rows) {
      for (Index l = layout_.count() - 1; l > of_.lowest_; --l) {
        const Layer &at = layout_.layer(l), &lower = layout_.layer(l - 1);
        T* const to = work_.errors[l - 1].data();
        with_kind(at.kind, [&](auto kind) {
          using Here = KindInLanes<decltype(kind)>;
          if constexpr (Here::known) Here::backward(at, stage(l, first, rows, &drawing_), work_.errors[l].data(), to);
        });
        if (lower.goes_on_elsewhere)
          for (Index end = l + 1; end < layout_.count(); ++end)
            if (is<Shortcut>(layout_.layer(end).kind) && layout_.layer(end).from == l - 1)
              for (Index i = 0; i < rows * lower.outputs * w; i += width<T>)
                store(to + i, load(to + i) + load(work_.errors[end].data() + i));
        if (is<Dense>(lower.kind))
          carry_back_in_lanes(lower, lower.keeps_z ? work_.z[l - 1].data() : work_.outputs[l - 1].data(),
                              work_.outputs[l - 1].data(), to, rows);
      }
    }

    void learn(Index first, Index rows) {
      for (Index l = of_.lowest_; l < layout_.count(); ++l) {
        const Layer& at = layout_.layer(l);
        if (at.height == 0) continue;
        T* const weights = work_.gradient.data() + at.flat * w;
        if (of_.factors_[at.block] != 0)
          with_kind(at.kind, [&](auto kind) {
            using Here = KindInLanes<decltype(kind)>;
            if constexpr (Here::known)
              Here::learn(at, stage(l, first, rows, &drawing_), work_.errors[l].data(), first > 0, weights);
          });
        if (!at.bias || of_.factors_[at.block + 1] == 0) continue;
        T* const bias = weights + at.height * at.outputs * w;
        const T* const errors = work_.errors[l].data();
        for (Index i = 0; i < at.outputs * w; i += width<T>) {
          Vec<T> sum = first > 0 ? load(bias + i) : Vec<T>{};
          for (Index r = 0; r < rows; ++r) sum += load(errors + r * at.outputs * w + i);
          store(bias + i, sum);
        }
      }
    }

    // One step; writes the loss of each network before it where there is `losses`, and returns whether all are finite.
    // With `held`, a network stays where it is from its limit on.
    bool step(Index i, bool held, double* losses, bool asks, InterruptPoll& poll) {
      drawing_.step = members_.steps_taken[network_[0]] + std::uint64_t(i);
      double total[w] = {};
      each_tile(i, asks, poll, [&](Index first, Index rows) {
        forward(first, rows, &drawing_);
        measure(rows, total);
        backward(first, rows);
        learn(first, rows);
      });
      if (poll.stopped()) return true;
      if (penalised_) penalise(total);
      bool finite = true;
      for (Index l = 0; l < count_ && losses != nullptr; ++l) {
        losses[member_[l] * steps_.losses_stride + i] = total[l];
        finite = finite && __builtin_isfinite(total[l]);
      }
      if (i + 1 == steps_.count) copy(work_.parameters, work_.before);
      move(i, held);
      return finite;
    }

    bool none_is_finite(const double* losses, Index i) const {
      for (Index l = 0; l < count_; ++l)
        if (__builtin_isfinite(losses[member_[l] * steps_.losses_stride + i])) return false;
      return true;
    }

    // Calls what(begin, count, factor) for each array of numbers that learns, and the learning-rate factor of its block.
    template <class What>
    void each_learning(const What& what) const {
      for (Index l = of_.lowest_; l < layout_.count(); ++l) {
        const Layer& at = layout_.layer(l);
        if (at.height == 0) continue;
        const Index weights = at.height * at.outputs;
        if (of_.factors_[at.block] != 0) what(at.flat, weights, of_.factors_[at.block]);
        if (at.bias && of_.factors_[at.block + 1] != 0) what(at.flat + weights, at.outputs, of_.factors_[at.block + 1]);
      }
    }

    // Adds l1 * sum(|w|) + l2 / 2 * sum(w^2) to the losses, and its derivative to the gradient.
    void penalise(double* total) {
      T ones[w], twos[w];
      for (Index l = 0; l < w; ++l) {
        const double share = of_.rule_.penalty_by_rows && weight_[l] > 0 ? 1 / weight_[l] : 1;
        ones[l] = T(l1_[l] * share), twos[l] = T(l2_[l] * share);
      }
      for (Index l = 0; l < layout_.count(); ++l) {
        const Layer& at = layout_.layer(l);
        if (!at.penalised) continue;
        const bool learns = of_.factors_[at.block] != 0;
        each_vector<T>([&](Index lane) {
          const Vec<T> one = load(ones + lane), two = load(twos + lane);
          Vec<T> sizes{}, squares{};
          for (Index i = at.flat * w + lane; i < (at.flat + at.height * at.outputs) * w; i += w) {
            const Vec<T> each = load(work_.parameters.data() + i), sign = each > 0 ? one : each < 0 ? -one : Vec<T>{};
            sizes += absolute(each);
            squares += each * each;
            T* const g = work_.gradient.data() + i;
            if (learns) store(g, load(g) + (sign + two * each));
          }
          add_lanes<T>(one * sizes + two * T(0.5) * squares, total + lane);
        });
      }
    }

    // What the gradients of the networks of a vector are shortened by. Shares of the largest entry are squared, lest a
    // square overflow.
    Vec<T> shortening(Index lane) const {
      Vec<T> largest{}, squares{};
      const auto each = [&](const auto& what) {
        each_learning([&](Index begin, Index count, double) {
          for (Index i = begin; i < begin + count; ++i) what(load(work_.gradient.data() + i * w + lane));
        });
      };
      each([&](Vec<T> g) { largest = maximum(largest, absolute(g)); });
      const Vec<T> by = largest > 0 ? 1 / largest : Vec<T>{};
      each([&](Vec<T> g) { squares += (g * by) * (g * by); });
      const Vec<T> norm = largest * square_root(squares), most = splat(T(of_.rule_.clip_norm));
      return norm > most ? most / norm : splat(T(1));
    }

    void move(Index i, bool held) {
      T moves[w];
      for (Index l = 0; l < w && held; ++l) moves[l] = i < limits_[l] ? T(1) : T(0);
      with_rule<T, Vec<T>>(of_.rule_, drawing_.step + 1, powers_, [&](auto rule) {
        each_vector<T>([&](Index lane) {
          const RatesInLanes<T> rates = rates_[lane / width<T>] * steps_.factors[i];
          const auto usual = rule.at(rates);
          const Vec<T> scale = of_.rule_.clip_norm != 0 ? shortening(lane) : splat(T(1));
          each_learning([&](Index begin, Index count, double factor) {
            const auto step = factor == 1 ? usual : rule.at(rates * factor);
            if (held) update<true>(step, begin, count, lane, scale, load(moves + lane));
            else update<false>(step, begin, count, lane, scale, Vec<T>{});
          });
        });
      });
    }

    template <bool held, class Step>
    void update(const Step& step, Index begin, Index count, Index lane, Vec<T> scale, Vec<T> moves) {
      T* const p = work_.parameters.data();
      const T* const gradient = work_.gradient.data();
      T *const first = work_.moments[0].data(), *const second = work_.moments[1].data();
      for (Index i = begin * w + lane; i < (begin + count) * w; i += w) {
        Vec<T> a{}, b{};
        if constexpr (Step::moments > 0) a = load(first + i);
        if constexpr (Step::moments > 1) b = load(second + i);
        const Vec<T> old = load(p + i), old_a = a, old_b = b;
        const Vec<T> now = step(old, scale * load(gradient + i), a, b);
        store(p + i, held ? (moves > 0 ? now : old) : now);
        if constexpr (Step::moments > 0) store(first + i, held ? (moves > 0 ? a : old_a) : a);
        if constexpr (Step::moments > 1) store(second + i, held ? (moves > 0 ? b : old_b) : b);
      }
    }

    const LanesTraining& of_;
    const Layout<T>& layout_;
    Work& work_;
    const Rows& rows_;
    const Members& members_;
    const ManySteps& steps_;
    Index count_;
    Index member_[w], network_[w], limits_[w];  // of each lane: its place in the call, its network, the steps it takes
    RatesInLanes<T> rates_[vectors];
    double l1_[w], l2_[w];
    bool penalised_ = false, shared_, listed_ = false;
    DrawingInLanes<T> drawing_;
    Powers powers_[most_moments];
    Order order_[w];  // the rows of the step, or null: all as they lie
    Index size_[w], most_ = 0;
    double weight_[w], share_[w];
  };

  const Layout<T>& layout_;
  LossSpec loss_;
  RuleSpec rule_;
  Array<double> factors_;  // of the blocks
  Index lowest_;           // the first layer that learns, or the last of all
  List<Work> works_;       // one a thread
};

template <class T>
nineline::Many* Layout<T>::many(const LossSpec& loss, const RuleSpec& rule, const double* factors) const {
  bool known = true;
  for (Index l = 0; l < count_; ++l)
    with_kind(layers_[l].kind, [&](auto kind) { known = known && KindInLanes<decltype(kind)>::known; });
  return known ? new LanesTraining<T>{*this, loss, rule, factors} : nullptr;
}

}  // namespace nineline::NINELINE_LEVEL

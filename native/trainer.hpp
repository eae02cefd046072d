// Training: steps of a batch, cut into parts for threads and parts into tiles for the cache.
//
// How a batch is cut depends on its size alone, and the parts' gradients are added in their order, so the result is
// the same bits for any number of threads. Twin: src/nineline/engines/reference.py.
#pragma once

#include "network.hpp"
#include "optimizers.hpp"
#include "threads.hpp"

namespace nineline::NINELINE_LEVEL {

// Stops the work of a call some time after somebody asked for it: the caller looks up after 50 ms.
class Patience {
 public:
  explicit Patience(const Interrupt& interrupt) : interrupt_{interrupt} {}
  // To be called by the caller's thread between tiles; true once the work is to be abandoned.
  bool over() {
    if (interrupt_.asked == nullptr || ++calls_ % 16 != 0) return stopped();
    const double now = seconds();
    if (next_ == 0) next_ = now + 0.05;
    if (now < next_) return stopped();
    next_ = now + 0.05;
    if (interrupt_.asked(interrupt_.context)) __atomic_store_n(&stopped_, true, __ATOMIC_RELAXED);
    return stopped();
  }
  bool stopped() const { return __atomic_load_n(&stopped_, __ATOMIC_RELAXED); }

 private:
  Interrupt interrupt_;
  unsigned calls_ = 0;
  double next_ = 0;
  bool stopped_ = false;
};

// How many rows are cut into how many parts of how many rows each.
struct Cut {
  Index rows, parts, rows_of_a_part;
  Index begin(Index part) const { return part * rows_of_a_part; }
  Index end(Index part) const { return smaller(rows, begin(part) + rows_of_a_part); }
};

inline Cut cut(Index rows, double work_of_a_row) {
  constexpr double least_work = 500e3;  // multiplications and additions: some ten microseconds
  constexpr Index least_rows = 64, most_parts = 16;
  Index parts = smaller(smaller(rows / least_rows, most_parts), Index(double(rows) * work_of_a_row / least_work));
  parts = larger(parts, 1);
  const Index rows_of_a_part = round_up((rows + parts - 1) / parts, 8);
  return {rows, (rows + rows_of_a_part - 1) / rows_of_a_part, rows_of_a_part};
}

template <class T>
class ModelOf final : public Model {
 public:
  ModelOf(const LayerPlan* layers, Index count, const LossPlan& loss, const RulePlan& rule)
      : network_{layers, count}, loss_{loss}, rule_{rule}, places_{count}, turned_places_{count} {
    network_.joins(loss.kind);
  }
  ~ModelOf() override {
    for (int w = 0; w < workers_made_; ++w) workers_[w].~Worker<T>();
  }

  Index steps(void* parameters, void* const* memory, const Data& data, const Steps& steps, double* losses, Team& team,
              const Interrupt& interrupt) override {
    const bool first = !before_;
    prepare_training();
    prepare_workers(team.threads());
    network_.pack(static_cast<const T*>(parameters), parameters_.data());
    if (first) network_.pack(static_cast<const T*>(parameters), before_.data());
    for (int m = 0; m < memory_size(rule_); ++m) network_.pack(static_cast<const T*>(memory[m]), memory_[m].data());
    turn_over_all();
    Patience patience{interrupt};
    Index done = 0;
    while (done < steps.count) {
      Batch batch{data, nullptr, data.rows};
      if (steps.order != nullptr) {
        const Index begin = done * steps.batch_size;
        batch.order = steps.order + begin;
        batch.rows = smaller(steps.batch_size, steps.order_size - begin);
      }
      const std::uint64_t number = steps.first + std::uint64_t(done);
      const double loss = step(batch, steps.rates[done], number, team, patience);
      if (patience.stopped()) break;
      losses[done++] = loss;
      if (!__builtin_isfinite(loss)) break;
    }
    network_.unpack(parameters_.data(), static_cast<T*>(parameters));
    for (int m = 0; m < memory_size(rule_); ++m) network_.unpack(memory_[m].data(), static_cast<T*>(memory[m]));
    return done;
  }

  double gradient(const void* parameters, const Data& data, std::uint64_t step, void* gradient, Team& team,
                  const Interrupt& interrupt) override {
    prepare_training();
    prepare_workers(team.threads());
    network_.pack(static_cast<const T*>(parameters), parameters_.data());
    turn_over_all();
    Patience patience{interrupt};
    Index parts = 0;
    const double loss = measure({data, nullptr, data.rows}, step, parts, false, team, patience);
    add_up(parts);
    network_.unpack(gradients_.data(), static_cast<T*>(gradient));
    return loss;
  }

  void undo(void* parameters) override {
    if (before_) network_.unpack(before_.data(), static_cast<T*>(parameters));
  }

  double evaluate(const void* parameters, const Data& data, Team& team, const Interrupt& interrupt) override {
    prepare_workers(team.threads());
    place_parameters(static_cast<const T*>(parameters));
    const Cut pieces = cut(data.rows, network_.work_of_a_row());
    const Batch batch{data, nullptr, data.rows};
    const double total_weight = batch.total_weight();
    Array<double> values{pieces.parts};
    Patience patience{interrupt};
    team.each(pieces.parts, false, [&](int who, Index part) {
      Worker<T>& worker = workers_[who];
      tiles(pieces, part, who, patience, [&](Index first, Index rows) {
        fill(worker, batch, first, rows, total_weight);
        worker.forward(places_.data(), rows);
        values[part] += double(worker.measure(loss_, rows));
      });
    });
    double total = 0;
    for (Index part = 0; part < pieces.parts; ++part) total += values[part];
    return total;
  }

  void run(const void* parameters, const void* inputs, Index rows, void* outputs, Team& team,
           const Interrupt& interrupt) override {
    prepare_workers(team.threads());
    place_parameters(static_cast<const T*>(parameters));
    const Cut pieces = cut(rows, network_.work_of_a_row());
    const Index n = network_.inputs(), m = network_.outputs();
    Patience patience{interrupt};
    team.each(pieces.parts, false, [&](int who, Index part) {
      Worker<T>& worker = workers_[who];
      tiles(pieces, part, who, patience, [&](Index first, Index count) {
        for (Index r = 0; r < count; ++r) worker.inputs[r] = static_cast<const T*>(inputs) + (first + r) * n;
        worker.forward(places_.data(), count);
        for (Index r = 0; r < count; ++r)
          __builtin_memcpy(static_cast<T*>(outputs) + (first + r) * m,
                           worker.answers() + r * network_.last().stride, m * sizeof(T));
      });
    });
  }

 private:
  struct Batch {
    const Data& data;
    const Index* order;
    Index rows;
    Index row(Index r) const { return order == nullptr ? r : order[r]; }
    double total_weight() const {
      if (data.weights == nullptr) return double(rows);
      double total = 0;
      for (Index r = 0; r < rows; ++r) total += double(static_cast<const T*>(data.weights)[row(r)]);
      return total;
    }
  };

  // A piece of the parameters that is updated at once: rows of one layer's weights and, with the last, its bias.
  struct Piece {
    Index layer, begin, end;  // of the padded vector
    Index first_row, rows;    // of the weights
    double factor;
  };

  // The loss of a batch as step `number` sees it, penalties included, and its gradient as one or more `parts` to be
  // added up.
  double measure(const Batch& batch, std::uint64_t number, Index& parts, bool alone, Team& team, Patience& patience) {
    if (cut_.rows != batch.rows) cut_ = cut(batch.rows, network_.work_of_a_row());
    const Cut pieces = cut_;
    prepare_gradients(pieces.parts);
    const double total_weight = batch.total_weight();
    team.each(pieces.parts, alone, [&](int who, Index part) {
      Worker<T>& worker = workers_[who];
      T* gradient = gradients_.data() + part * network_.size();
      double loss = 0;
      tiles(pieces, part, who, patience, [&](Index first, Index rows) {
        fill(worker, batch, first, rows, total_weight);
        worker.forward_in_training(places_.data(), rows, first, rule_.seed, number);
        loss += double(worker.measure(loss_, rows));
        worker.backward(places_.data(), turned_places_.data(), rows, first > pieces.begin(part), gradient);
      });
      losses_[part] = loss;
    });
    if (patience.stopped()) return 0;
    parts = pieces.parts;
    double loss = 0;
    for (Index part = 0; part < parts; ++part) loss += losses_[part];
    if (rule_.l1 != 0 || rule_.l2 != 0) {
      add_up(parts);
      loss += penalize(rule_.penalty_by_rows && total_weight > 0 ? 1 / total_weight : 1);
    }
    return loss;
  }

  // One step of the optimizer on a batch; returns the loss before it. Where that is not finite, nothing is moved.
  double step(const Batch& batch, double rate, std::uint64_t number, Team& team, Patience& patience) {
    const bool alone = team.threads() == 1 || pace_.alone();
    Index parts = 0;
    const double loss = measure(batch, number, parts, alone, team, patience);
    if (patience.stopped() || !__builtin_isfinite(loss)) return loss;
    if (rule_.clip_norm != 0) add_up(parts);
    const Vectors<T> vectors{parameters_.data(), before_.data(), {memory_[0].data(), memory_[1].data()},
                             gradients_.data(), parts, network_.size()};
    const T scale = rule_.clip_norm != 0 ? clip() : T(1);
    with_rule<T>(rule_, number + 1, [&](auto rule) {
      team.each(piece_count_, alone || network_.size() < 32768, [&](int, Index i) {
        const Piece& piece = pieces_[i];
        update(rule.at(rate * piece.factor), vectors, scale, piece.begin, piece.end);
        turn_over_rows(piece.layer, piece.first_row, piece.rows);
      });
    });
    if (cut_.parts > 1 && team.threads() > 1) pace_.step_done();
    return loss;
  }

  // Calls work(first, rows) for the tiles of a part.
  template <class Work>
  static void tiles(const Cut& pieces, Index part, int who, Patience& patience, const Work& work) {
    for (Index first = pieces.begin(part); first < pieces.end(part); first += tile_rows) {
      if (who == 0 ? patience.over() : patience.stopped()) return;
      work(first, smaller(tile_rows, pieces.end(part) - first));
    }
  }

  // Lists a tile's inputs where they lie, and lays its targets and what each row counts beside the outputs to come.
  void fill(Worker<T>& worker, const Batch& batch, Index first, Index rows, double total_weight) const {
    const bool whole = batch.order == nullptr && batch.rows <= tile_rows;
    if (whole && worker.holds == batch.data.inputs) return;  // all rows again
    worker.holds = whole ? batch.data.inputs : nullptr;
    const Index n = network_.inputs(), m = network_.outputs(), stride = network_.last().stride;
    const T *inputs = static_cast<const T*>(batch.data.inputs), *targets = static_cast<const T*>(batch.data.targets);
    const T* weights = static_cast<const T*>(batch.data.weights);
    const double share = !loss_.mean ? 1 : total_weight > 0 ? 1 / total_weight : 0;
    for (Index r = 0; r < rows; ++r) {
      const Index row = batch.row(first + r);
      worker.inputs[r] = inputs + row * n;
      for (Index o = 0; o < m; ++o) worker.targets[r * stride + o] = targets[row * m + o];
    }
    if (weights == nullptr && worker.rows_with_factors == rows && worker.same_factor == T(share)) return;
    worker.rows_with_factors = weights == nullptr ? rows : 0;
    worker.same_factor = T(share);
    for (Index r = 0; r < rows; ++r) {
      const T factor = T(weights == nullptr ? share : share * double(weights[batch.row(first + r)]));
      for (Index o = 0; o < m; ++o) worker.factors[r * stride + o] = factor;
    }
    for (Index i = rows * stride; i < smaller(round_up(rows * stride, width<T>), tile_rows * stride); ++i)
      worker.factors[i] = 0;  // a packed tile may end inside a vector
  }

  // The sum of the parts' gradients, into the first.
  void add_up(Index& parts) {
    for (Index part = 1; part < parts; ++part)
      for (Index i = 0; i < network_.size(); i += width<T>) {
        T* sum = gradients_.data() + i;
        store(sum, load(sum) + load(sum + part * network_.size()));
      }
    parts = 1;
  }

  // Adds the gradient of share * (l1 * sum(|w|) + l2 / 2 * sum(w^2)) over the weights, and returns its value.
  double penalize(double share) {
    double value = 0;
    const T l1 = T(rule_.l1 * share), l2 = T(rule_.l2 * share);
    for (Index l = 0; l < network_.count(); ++l) {
      const Layer& at = network_.layer(l);
      T *w = parameters_.data() + at.place, *g = gradients_.data() + at.place;
      for (Index i = 0; at.dense && i < at.weights; ++i) {
        value += rule_.l1 * double(w[i] < 0 ? -w[i] : w[i]) + rule_.l2 / 2 * double(w[i]) * double(w[i]);
        g[i] += l1 * T((w[i] > 0) - (w[i] < 0)) + l2 * w[i];
      }
    }
    return value * share;
  }

  // What shortens the gradient to clip_norm where it is longer; scaled by its largest entry, no square overflows.
  T clip() const {
    const T* gradient = gradients_.data();
    double largest = 0, squares = 0;
    for (Index i = 0; i < network_.size(); ++i) {
      const double entry = gradient[i] < 0 ? -double(gradient[i]) : double(gradient[i]);
      largest = entry > largest || entry != entry ? entry : largest;
    }
    for (Index i = 0; i < network_.size(); ++i) squares += double(gradient[i]) / largest * (double(gradient[i]) / largest);
    const double norm = largest > 0 ? largest * __builtin_sqrt(squares) : 0;
    return norm > rule_.clip_norm ? T(rule_.clip_norm / norm) : T(1);
  }

  void turn_over_all() {
    for (Index l = 0; l < network_.count(); ++l) turn_over_rows(l, 0, network_.layer(l).inputs);
  }

  // Rows of a layer's weights into columns of the copy that the errors of its inputs are computed with.
  void turn_over_rows(Index l, Index first, Index rows) {
    const Layer& at = network_.layer(l);
    if (turned_places_[l] == nullptr || rows == 0) return;
    T* to = const_cast<T*>(turned_places_[l]);
    turn_over<T>({parameters_.data() + at.place + first * at.stride, at.stride}, rows, at.outputs,
                 {to + first, at.input_stride});
  }

  // Memory, made once and kept.

  void prepare_workers(int threads) {
    for (int w = 0; w < workers_made_; ++w) workers_[w].holds = nullptr;  // another call, other data
    if (threads <= workers_made_) return;
    Array<Worker<T>> more{threads};
    for (int w = 0; w < threads; ++w) new (&more[w]) Worker<T>{network_};
    for (int w = 0; w < workers_made_; ++w) workers_[w].~Worker<T>();
    workers_ = static_cast<Array<Worker<T>>&&>(more);
    workers_made_ = threads;
  }

  void prepare_training() {
    if (before_) {
      place_training();
      return;
    }
    const Index size = network_.size();
    parameters_ = Array<T>{size};
    for (int m = 0; m < memory_size(rule_); ++m) memory_[m] = Array<T>{size};
    Index turned = 0;
    for (Index l = 0; l < network_.count(); ++l) turned += turned_size(l);
    turned_ = Array<T>{turned};
    make_pieces();
    before_ = Array<T>{size};
    place_training();
  }

  Index turned_size(Index l) const {
    const Layer& at = network_.layer(l);
    const bool needed = at.dense && at.learns_inputs && !at.turned && !at.input_is_packed;
    return needed ? at.outputs * at.input_stride : 0;
  }

  void place_training() {
    Index turned = 0;
    for (Index l = 0; l < network_.count(); ++l) {
      places_[l] = parameters_.data() + network_.layer(l).place;
      turned_places_[l] = turned_size(l) > 0 ? turned_.data() + turned : nullptr;
      turned += turned_size(l);
    }
  }

  // Where Python's layout is ours, a layer's parameters are read where they are; the others are packed.
  void place_parameters(const T* flat) {
    for (Index l = 0; l < network_.count(); ++l) {
      const Layer& at = network_.layer(l);
      if (!at.dense) continue;
      if (at.as_in_python()) {
        places_[l] = flat + at.flat;
      } else {
        if (!packed_) packed_ = Array<T>{network_.size()};
        pack(at, flat + at.flat, packed_.data() + at.place);
        places_[l] = packed_.data() + at.place;
      }
    }
  }

  void prepare_gradients(Index parts) {
    if (parts <= parts_made_) return;
    gradients_ = Array<T>{parts * network_.size()};
    losses_ = Array<double>{parts};
    parts_made_ = parts;
  }

  void make_pieces() {
    constexpr Index numbers_of_a_piece = 4096;
    for (int counting = 1; counting >= 0; --counting) {
      Index n = 0;
      const auto add = [&](const Piece& piece) {
        if (counting == 0) pieces_[n] = piece;
        ++n;
      };
      for (Index l = 0; l < network_.count(); ++l) {
        const Layer& at = network_.layer(l);
        if (!at.dense) continue;
        const Index stride = at.stride_of_weights(), rows = at.rows_of_weights();
        const Index rows_of_a_piece = round_up(larger(1, numbers_of_a_piece / stride), 16);
        const bool together = at.weights_factor == at.bias_factor;
        for (Index first = 0; first < rows; first += rows_of_a_piece) {
          const Index count = smaller(rows_of_a_piece, rows - first);
          const bool last = first + count == rows;
          const Index end = at.place + (last && together ? round_up(at.size, width<T>) : (first + count) * stride);
          add({l, at.place + first * stride, end, first, count, at.weights_factor});
        }
        if (at.bias && !together)
          add({l, at.place + at.weights, at.place + round_up(at.size, width<T>), 0, 0, at.bias_factor});
      }
      if (counting == 1) pieces_ = Array<Piece>{n};
      piece_count_ = n;
    }
  }

  Network<T> network_;
  LossPlan loss_;
  RulePlan rule_;
  Array<const T*> places_, turned_places_;  // of each layer's parameters, and of their turned copies
  Array<T> parameters_, before_, memory_[2], turned_, gradients_, packed_;
  Array<double> losses_;
  Cut cut_{};  // of the last batch
  Array<Piece> pieces_;
  Index piece_count_ = 0, parts_made_ = 0;
  Array<Worker<T>> workers_;
  int workers_made_ = 0;
  Pace pace_;
};

}  // namespace nineline::NINELINE_LEVEL

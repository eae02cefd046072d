// Training: steps of a batch, cut into parts for threads and parts into tiles for the cache.
//
// A batch goes through the network in parts, which threads share. Then the parameters are taken piece by piece: the
// gradient of a piece is found, and the piece is moved while its gradient is in the first cache. A batch of some rows
// is held as a whole, and a piece's gradient is a product over all its rows; from a longer one each part adds up a
// gradient of its own, tile by tile, and a piece's gradient is their sum.
//
// How batch and parameters are cut depends on their sizes alone, and sums have one order, so the result is the same
// bits for any number of threads. Twin: src/nineline/engines/reference.py.
#pragma once

#include "batches.hpp"
#include "optimizers.hpp"

namespace nineline::NINELINE_LEVEL {

inline constexpr Index most_rows_held = 512;

template <class T>
class ModelOf final : public Model {
 public:
  ModelOf(const LayerPlan* layers, Index count, const LossPlan& loss, const RulePlan& rule)
      : network_{layers, count}, loss_{loss}, rule_{rule}, places_{count}, turned_places_{count} {
    network_.joins(loss.kind);
  }
  ~ModelOf() override {
    drop_passages();
    delete whole_;
  }

  Index steps(void* parameters, void* const* memory, const Data& data, const Steps& steps, double* losses, Team& team,
              const Interrupt& interrupt) override {
    const bool first = !before_;
    prepare_training(team.threads());
    begin(parameters, memory);
    if (first) network_.pack(static_cast<const T*>(parameters), before_.data());
    look_for_zeros(data);
    Patience patience{interrupt};
    Index done = 0, kept = 0, taken = 0;
    while (done < steps.count) {
      const bool last = done + 1 == steps.count;
      const double loss = step(data, steps, done, last, team, patience);
      if (patience.stopped()) break;
      losses[done++] = loss;
      if (!__builtin_isfinite(loss)) break;
      taken = done;
      if (last) kept = done;
    }
    if (kept < taken) {  // it ended early: again from the caller's vectors, to find what was before its last step
      begin(parameters, memory);
      Patience patient{{}};
      for (Index i = 0; i < taken; ++i) step(data, steps, i, i + 1 == taken, team, patient);
    }
    network_.unpack(parameters_.data(), static_cast<T*>(parameters));
    for (int m = 0; m < memory_size(rule_); ++m) network_.unpack(memory_[m].data(), static_cast<T*>(memory[m]));
    return done;
  }

  double gradient(const void* parameters, const Data& data, std::uint64_t step, void* gradient, Team& team,
                  const Interrupt& interrupt) override {
    prepare_training(team.threads());
    begin(parameters, nullptr);
    look_for_zeros(data);
    Patience patience{interrupt};
    const Batch<T> batch{data, nullptr, data.rows};
    const double loss = measure(batch, step, false, team, patience);
    if (patience.stopped()) return loss;
    find_gradient(batch, false, team);
    network_.unpack(gradient_.data(), static_cast<T*>(gradient));
    return loss;
  }

  void undo(void* parameters) override {
    if (before_) network_.unpack(before_.data(), static_cast<T*>(parameters));
  }

  double evaluate(const void* parameters, const Data& data, Team& team, const Interrupt& interrupt) override {
    prepare_passages(team.threads());
    place_parameters(static_cast<const T*>(parameters));
    look_for_zeros(data);
    const Cut pieces = cut(data.rows, network_.work_of_a_row());
    const Batch<T> batch{data, nullptr, data.rows};
    const double total_weight = batch.total_weight();
    Array<double> values{pieces.parts};
    Patience patience{interrupt};
    team.each(pieces.parts, false, [&](int who, Index part) {
      Passage<T>& passage = passages_[who];
      tiles(pieces, part, who, patience, [&](Index first, Index rows) {
        lay_out(network_, batch, first, rows, total_weight, loss_.mean, passage);
        passage.forward(places_.data(), rows);
        values[part] += double(passage.measure(loss_, 0, rows));
      });
    });
    double total = 0;
    for (Index part = 0; part < pieces.parts; ++part) total += values[part];
    return total;
  }

  void run(const void* parameters, const void* inputs, Index rows, void* outputs, Team& team,
           const Interrupt& interrupt) override {
    prepare_passages(team.threads());
    place_parameters(static_cast<const T*>(parameters));
    network_.look_for_zeros(static_cast<const T*>(inputs), rows);
    const Cut pieces = cut(rows, network_.work_of_a_row());
    const Index n = network_.inputs(), m = network_.outputs();
    Patience patience{interrupt};
    team.each(pieces.parts, false, [&](int who, Index part) {
      Passage<T>& passage = passages_[who];
      tiles(pieces, part, who, patience, [&](Index first, Index count) {
        for (Index r = 0; r < count; ++r) passage.inputs[r] = static_cast<const T*>(inputs) + (first + r) * n;
        passage.forward(places_.data(), count);
        for (Index r = 0; r < count; ++r)
          __builtin_memcpy(static_cast<T*>(outputs) + (first + r) * m,
                           passage.answers() + r * network_.last().stride, m * sizeof(T));
      });
    });
  }

 private:
  // A piece of the parameters: a block of a layer's weights, and perhaps the bias beside it.
  struct Piece {
    Index layer;
    Block block;
    bool bias;
  };

  // The loss of a batch as step `number` sees it, penalties included. What the gradient is found from stays.
  double measure(const Batch<T>& batch, std::uint64_t number, bool alone, Team& team, Patience& patience) {
    if (cut_.rows != batch.rows) cut_ = cut(batch.rows, network_.work_of_a_row());
    const Cut pieces = cut_;
    const Index pieces_of_a_part = (piece_count_ + pieces.parts - 1) / pieces.parts;
    const bool whole = is_held(batch.rows);
    if (whole) prepare_whole(batch.rows);
    else prepare_parts(pieces.parts, team.threads());
    const double total_weight = batch.total_weight();
    if (whole) lay_out(network_, batch, 0, batch.rows, total_weight, loss_.mean, *whole_);
    team.each(pieces.parts, alone, [&](int who, Index part) {
      Passage<T>& passage = whole ? *whole_ : passages_[who];
      double loss = 0;
      tiles(pieces, part, who, patience, [&](Index first, Index rows) {
        const Span span{whole ? first : 0, rows, first};
        if (!whole) {
          lay_out(network_, batch, first, rows, total_weight, loss_.mean, passage);
          if (batch.shuffled()) call_for(network_, batch, first + rows, smaller(first + 2 * rows, pieces.end(part)));
        }
        passage.forward_in_training(places_.data(), span, rule_.seed, number);
        loss += double(passage.measure(loss_, span.first, rows));
        passage.backward(places_.data(), turned_places_.data(), span.first, rows);
        if (!whole) passage.learn(rows, first > pieces.begin(part), gradients_.data() + part * network_.size());
      });
      losses_[part] = loss;
      penalties_[part] = penalty(part * pieces_of_a_part, (part + 1) * pieces_of_a_part);
    });
    double loss = 0, penalty = 0;
    for (Index part = 0; part < pieces.parts; ++part) loss += losses_[part], penalty += penalties_[part];
    share_of_penalty_ = rule_.penalty_by_rows && total_weight > 0 ? 1 / total_weight : 1;
    return loss + share_of_penalty_ * penalty;
  }

  // One step of the optimizer; returns the loss before it. Where that is not finite, nothing is moved.
  double step(const Data& data, const Steps& steps, Index i, bool keep_before, Team& team, Patience& patience) {
    const Batch<T> batch = Batch<T>::of(data, steps, i);
    const bool more = batch.shuffled() && i + 1 < steps.count;
    const Batch<T> next = more ? Batch<T>::of(data, steps, i + 1) : batch;
    const Index next_of_a_piece = more ? next.rows / piece_count_ + 1 : 0;
    const std::uint64_t number = steps.first + std::uint64_t(i);
    const bool alone = team.threads() == 1 || pace_.alone();
    const double loss = measure(batch, number, alone, team, patience);
    if (patience.stopped() || !__builtin_isfinite(loss)) return loss;
    const bool clips = rule_.clip_norm != 0;
    T scale = 1;
    if (clips) {
      find_gradient(batch, alone, team);
      scale = clip();
    }
    const Vectors<T> vectors{
        parameters_.data(), {memory_[0].data(), memory_[1].data()}, keep_before ? before_.data() : nullptr};
    with_rule<T>(rule_, number + 1, [&](auto rule) {
      team.each(piece_count_, alone || network_.size() < 32768, [&](int who, Index p) {
        const Piece& piece = pieces_[p];
        const Layer& at = network_.layer(piece.layer);
        call_for(network_, next, p * next_of_a_piece, (p + 1) * next_of_a_piece);
        const PieceOfGradient found = clips ? piece_of(gradient_.data(), piece) : find(batch, piece, who);
        move(at, piece, rule.at(steps.rates[i] * at.weights_factor), rule.at(steps.rates[i] * at.bias_factor), vectors,
             found, scale);
        turn_over_block(piece.layer, piece.block);
      });
    });
    if (team.threads() > 1 && (cut_.parts > 1 || network_.size() >= 32768)) pace_.step_done();
    return loss;
  }

  // Where the gradient of a piece is.
  struct PieceOfGradient {
    Matrix<T> weights;
    T* bias;
  };

  PieceOfGradient piece_of(T* vector, const Piece& piece) const {
    const Layer& at = network_.layer(piece.layer);
    const Index stride = at.stride_of_weights();
    T* layer = vector + at.place;
    return {{layer + piece.block.first_row * stride + piece.block.first_column, stride},
            piece.bias ? layer + at.weights + (at.turned ? 0 : piece.block.first_column) : nullptr};
  }

  // The gradient of a piece, penalties included, in a thread's own memory.
  PieceOfGradient find(const Batch<T>& batch, const Piece& piece, int who) {
    T* scratch = scratch_.data() + who * scratch_size_;
    const PieceOfGradient to{{scratch, piece.block.columns},
                             piece.bias ? scratch + piece.block.rows * piece.block.columns : nullptr};
    find(batch, piece, to);
    return to;
  }

  void find(const Batch<T>& batch, const Piece& piece, const PieceOfGradient& to) {
    const Layer& at = network_.layer(piece.layer);
    const Block& block = piece.block;
    if (is_held(batch.rows)) {
      whole_->learn(piece.layer, batch.rows, block, false, to.weights, to.bias);
    } else {
      for (Index part = 0; part < cut_.parts; ++part) {
        const PieceOfGradient from = piece_of(gradients_.data() + part * network_.size(), piece);
        for (Index r = 0; r < block.rows; ++r) add(from.weights.row(r), block.columns, part > 0, to.weights.row(r));
        if (piece.bias) add(from.bias, at.turned ? at.stride_of_bias() : block.columns, part > 0, to.bias);
      }
    }
    if (rule_.l1 == 0 && rule_.l2 == 0) return;
    const Vec<T> l1 = splat(T(rule_.l1 * share_of_penalty_)), l2 = splat(T(rule_.l2 * share_of_penalty_));
    const Matrix<T> weights = piece_of(parameters_.data(), piece).weights;
    for (Index r = 0; r < block.rows; ++r)
      for (Index i = 0; i < block.columns; i += width<T>) {
        const Vec<T> w = load(weights.row(r) + i), sign = w > 0 ? l1 : w < 0 ? -l1 : Vec<T>{};
        T* g = to.weights.row(r) + i;
        store(g, load(g) + (sign + l2 * w));
      }
  }

  static void add(const T* from, Index count, bool adding, T* to) {
    for (Index i = 0; i < count; i += width<T>)
      store(to + i, adding ? load(to + i) + load(from + i) : load(from + i));
  }

  // The gradient of all parameters.
  void find_gradient(const Batch<T>& batch, bool alone, Team& team) {
    if (!gradient_) gradient_ = Array<T>{network_.size()};
    team.each(piece_count_, alone || network_.size() < 32768,
              [&](int, Index p) { find(batch, pieces_[p], piece_of(gradient_.data(), pieces_[p])); });
  }

  template <class Step>
  static void move(const Layer& at, const Piece& piece, const Step& weights, const Step& bias, const Vectors<T>& vectors,
                   const PieceOfGradient& found, T scale) {
    const Block& block = piece.block;
    const Index stride = at.stride_of_weights();
    const Index place = at.place + block.first_row * stride + block.first_column;
    const bool together = block.columns == stride && found.weights.stride == stride;
    const Index runs = together ? 1 : block.rows, count = together ? block.rows * stride : block.columns;
    for (Index r = 0; r < runs; ++r)
      update(weights, vectors, place + r * stride, count, found.weights.row(r), scale);
    if (!piece.bias) return;
    const Index first = at.turned ? 0 : block.first_column;
    update(bias, vectors, at.place + at.weights + first, at.turned ? at.stride_of_bias() : block.columns, found.bias,
           scale);
  }

  // Calls work(first, rows) for the tiles of a part.
  template <class Work>
  static void tiles(const Cut& pieces, Index part, int who, Patience& patience, const Work& work) {
    for (Index first = pieces.begin(part); first < pieces.end(part); first += tile_rows) {
      if (who == 0 ? patience.over() : patience.stopped()) return;
      work(first, smaller(tile_rows, pieces.end(part) - first));
    }
  }

  // l1 * sum(|w|) + l2 / 2 * sum(w^2) over the weights of some pieces.
  double penalty(Index first, Index end) const {
    if (rule_.l1 == 0 && rule_.l2 == 0) return 0;
    double size = 0, square = 0;
    for (Index p = first; p < smaller(end, piece_count_); ++p) {
      const Matrix<T> weights = piece_of(parameters_.data(), pieces_[p]).weights;
      const Block& block = pieces_[p].block;
      Vec<T> sizes{}, squares{};
      for (Index r = 0; r < block.rows; ++r)
        for (Index i = 0; i < block.columns; i += width<T>) {
          const Vec<T> each = load(weights.row(r) + i);
          sizes += absolute(each);
          squares += each * each;
        }
      size += double(sum(sizes));
      square += double(sum(squares));
    }
    return rule_.l1 * size + rule_.l2 / 2 * square;
  }

  // What shortens the gradient to clip_norm where it is longer; scaled by its largest entry, no square overflows.
  T clip() const {
    const T* gradient = gradient_.data();
    double largest = 0, squares = 0;
    for (Index i = 0; i < network_.size(); ++i) {
      const double entry = gradient[i] < 0 ? -double(gradient[i]) : double(gradient[i]);
      largest = entry > largest || entry != entry ? entry : largest;
    }
    for (Index i = 0; i < network_.size(); ++i) squares += double(gradient[i]) / largest * (double(gradient[i]) / largest);
    const double norm = largest > 0 ? largest * __builtin_sqrt(squares) : 0;
    return norm > rule_.clip_norm ? T(rule_.clip_norm / norm) : T(1);
  }

  void look_for_zeros(const Data& data) { network_.look_for_zeros(static_cast<const T*>(data.inputs), data.rows); }

  // Packs the caller's vectors into ours.
  void begin(const void* parameters, void* const* memory) {
    network_.pack(static_cast<const T*>(parameters), parameters_.data());
    for (int m = 0; memory != nullptr && m < memory_size(rule_); ++m)
      network_.pack(static_cast<const T*>(memory[m]), memory_[m].data());
    for (Index l = 0; l < network_.count(); ++l) {
      const Layer& at = network_.layer(l);
      turn_over_block(l, {0, at.inputs, 0, at.stride});
    }
    if (whole_ != nullptr) whole_->holds = nullptr;  // another call, other data
  }

  // A block of a layer's weights into the copy that the errors of its inputs are computed with.
  void turn_over_block(Index l, const Block& block) {
    const Layer& at = network_.layer(l);
    if (turned_places_[l] == nullptr || block.rows == 0) return;
    T* to = const_cast<T*>(turned_places_[l]);
    const Index columns = smaller(block.columns, at.outputs - block.first_column);
    turn_over<T>({parameters_.data() + at.place + block.first_row * at.stride + block.first_column, at.stride},
                 block.rows, columns, {to + block.first_column * at.input_stride + block.first_row, at.input_stride});
  }

  // Memory, made once and kept.

  void prepare_passages(int threads) {
    for (int p = 0; p < passages_made_; ++p) passages_[p].holds = nullptr;
    if (threads <= passages_made_) return;
    drop_passages();
    passages_ = Array<Passage<T>>{threads};
    for (; passages_made_ < threads; ++passages_made_)
      new (&passages_[passages_made_]) Passage<T>{network_, tile_rows};
  }

  void drop_passages() {
    while (passages_made_ > 0) passages_[--passages_made_].~Passage<T>();
  }

  // Whether all rows of a batch are kept until its gradient is found.
  static bool is_held(Index rows) { return rows <= most_rows_held; }

  void prepare_whole(Index rows) {
    if (whole_ != nullptr && whole_->room() >= rows) return;
    delete whole_;
    whole_ = nullptr;
    whole_ = new Passage<T>{network_, rows};
  }

  void prepare_parts(Index parts, int threads) {
    if (threads > passages_made_) prepare_passages(threads);
    if (parts <= parts_made_) return;
    gradients_ = Array<T>{parts * network_.size()};
    parts_made_ = parts;
  }

  void prepare_training(int threads) {
    if (threads > threads_prepared_) {
      if (piece_count_ == 0) make_pieces();
      scratch_ = Array<T>{threads * scratch_size_};
      threads_prepared_ = threads;
    }
    if (!before_) {
      const Index size = network_.size();
      parameters_ = Array<T>{size};
      for (int m = 0; m < memory_size(rule_); ++m) memory_[m] = Array<T>{size};
      Index turned = 0;
      for (Index l = 0; l < network_.count(); ++l) turned += turned_size(l);
      turned_ = Array<T>{turned};
      losses_ = Array<double>{most_parts};
      penalties_ = Array<double>{most_parts};
      before_ = Array<T>{size};
    }
    Index turned = 0;
    for (Index l = 0; l < network_.count(); ++l) {
      places_[l] = parameters_.data() + network_.layer(l).place;
      turned_places_[l] = turned_size(l) > 0 ? turned_.data() + turned : nullptr;
      turned += turned_size(l);
    }
    for (int p = 0; p < passages_made_; ++p) passages_[p].holds = nullptr;
  }

  Index turned_size(Index l) const {
    const Layer& at = network_.layer(l);
    const bool needed = at.dense && at.learns_inputs && !at.turned && !at.input_is_packed;
    return needed ? at.outputs * at.input_stride : 0;
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

  // Blocks of whole rows where those are not long, so that vectors are passed over as they lie, and of rows enough to
  // make their numbers worth a thread's while.
  void make_pieces() {
    constexpr Index most_columns = 128, numbers = 2048;
    for (int counting = 1; counting >= 0; --counting) {
      Index n = 0;
      for (Index l = 0; l < network_.count(); ++l) {
        const Layer& at = network_.layer(l);
        if (!at.dense) continue;
        const Index stride = at.stride_of_weights(), height = at.rows_of_weights();
        const Index rows = round_up(numbers / smaller(stride, most_columns), 48);  // turned over in whole vectors
        for (Index column = 0; column < stride; column += most_columns)
          for (Index row = 0; row < height; row += rows) {
            const Block block{row, smaller(rows, height - row), column, smaller(most_columns, stride - column)};
            const bool bias = at.bias && row == 0 && (column == 0 || !at.turned);
            if (counting == 0) pieces_[n] = {l, block, bias};
            scratch_size_ = larger(scratch_size_, block.rows * block.columns + larger(block.columns, at.stride_of_bias()));
            ++n;
          }
      }
      if (counting == 1) pieces_ = Array<Piece>{n};
      piece_count_ = n;
    }
  }

  Network<T> network_;
  LossPlan loss_;
  RulePlan rule_;
  Array<const T*> places_, turned_places_;  // of each layer's parameters, and of their turned copies
  Array<T> parameters_, before_, memory_[2], turned_, packed_;
  Array<T> gradients_, gradient_, scratch_;  // of the parts; of all parameters, where it is wanted; of pieces
  Array<double> losses_, penalties_;  // of the parts
  Cut cut_{};  // of the last batch
  Array<Piece> pieces_;
  Index piece_count_ = 0, parts_made_ = 0, scratch_size_ = 0;
  double share_of_penalty_ = 1;
  Array<Passage<T>> passages_;  // of tiles, one a thread
  Passage<T>* whole_ = nullptr;  // of a batch that is held
  int passages_made_ = 0, threads_prepared_ = 0;
  Pace pace_;
};

}  // namespace nineline::NINELINE_LEVEL

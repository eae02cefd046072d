// Training: steps of a batch, whose rows are parted for threads and tiled for the cache.
//
// A batch goes through the network in parts, which threads share. Then the parameters are taken piece by piece: the
// gradient of a piece is found, and the piece is moved while its gradient is in the first cache. A batch of some rows
// is held as a whole, and a piece's gradient is a product over all its rows; from a longer one each part adds up a
// gradient of its own, tile by tile, and a piece's gradient is their sum.
//
// A network that is tiny goes a way of its own (tiny.hpp).
//
// Vectors of an embedding are moved where the caller has them, by one thread.
//
// How batch and parameters are parted depends on their sizes alone, and sums have one order, so the result is the same
// bits for any number of threads. Twin: src/nineline/engines/reference.py.
#pragma once

#include "batches.hpp"
#include "pieces.hpp"
#include "tiny.hpp"

namespace nineline::NINELINE_LEVEL {

inline constexpr Index most_rows_held = 512;

template <class T>
class Training final : public nineline::Training {
 public:
  Training(const Layout<T>& layout, const LossSpec& loss, const RuleSpec& rule, const double* factors, T* flat)
      : layout_{layout}, loss_{loss}, rule_{rule}, moments_used_{moments_of(rule.kind)}, flat_{flat},
        factors_{layout.block_count()}, lowest_{layout.count() - 1} {
    seed = rule.seed;
    for (Index block = 0; block < layout.block_count(); ++block) factors_[block] = factors[block];
    for (Index l = layout.count() - 1; l >= 0; --l)
      if (learns(l)) lowest_ = l;
  }

  Index steps(const Rows& rows, const Steps& steps, double* losses, Team& team, const Interrupt& interrupt) override {
    begin(team.threads());
    look_at(rows);
    const bool several = steps.count > 1 && steps.others == nullptr;  // no step is taken again that others have a part in
    if (several) copy(now(), start_);
    if (several) each_column([](LearnedVectors<T>& column) { column.begin_call(); });
    InterruptPoll poll{interrupt};
    Index done = 0, kept = 0, taken = 0;
    while (done < steps.count) {
      const bool last = done + 1 == steps.count || steps.others != nullptr;
      const double loss = one_step(rows, steps, done, several, last, team, poll);
      if (poll.stopped()) break;
      losses[done++] = loss;
      if (!__builtin_isfinite(loss)) break;
      taken = done;
      if (last) kept = done;
    }
    if (kept < taken) {  // it ended early: again from the start, to find what was before its last step
      copy(start_, now());
      each_column([](LearnedVectors<T>& column) { column.restart(); });
      turn_over_all();
      InterruptPoll never{{}};
      for (Index i = 0; i < taken; ++i) one_step(rows, steps, i, false, i + 1 == taken, team, never);
    }
    if (taken > 0) end(std::uint64_t(taken));
    if (taken > 0 && steps.others != nullptr) can_undo_ = false;  // of the moments nothing was kept
    return done;
  }

  double gradient(const Rows& rows, const Index* order, Index count, const LossSpec& loss, void* into, Team& team,
                  const Interrupt& interrupt) override {
    begin(team.threads());
    look_at(rows);
    InterruptPoll poll{interrupt};
    const Batch<T> batch{rows, order, order == nullptr ? rows.count : count};
    const double value = measure(loss, batch, steps_taken, false, team, poll);
    if (poll.stopped()) return value;
    find_gradient(batch, false, team);
    layout_.unpack(gradient_.data(), static_cast<T*>(into));
    const Layer& first = layout_.layer(0);
    if (first.vectors != nullptr) __builtin_memset(into, 0, first.flat_size() * sizeof(T));
    each_column([&](LearnedVectors<T>& column) { column.write_gradient(static_cast<T*>(into) + column.column().place); });
    return value;
  }

  void move(const void* gradient, double rate, Team& team) override {
    begin(team.threads());
    make_gradient();
    for (Index l = 0; l < layout_.count(); ++l) {
      const Layer& at = layout_.layer(l);
      if (at.height == 0 || !learns(l)) continue;
      T* const to = gradient_.data() + at.place;
      pack(at, static_cast<const T*>(gradient) + at.flat, to);
      if (factor_of_weights(l) == 0) __builtin_memset(to, 0, at.weights * sizeof(T));
      if (at.bias && factor_of_bias(l) == 0) __builtin_memset(to + at.weights, 0, at.stride_of_bias() * sizeof(T));
    }
    each_column([&](LearnedVectors<T>& column) { column.take(static_cast<const T*>(gradient) + column.column().place); });
    move_all(steps_taken, rate, false, true, rule_.clip_norm != 0 ? shortening(rule_.clip_norm) : T(1), team.threads() == 1, team,
             [&](Index p, int) { return piece_of(layout_, gradient_.data(), moving_[p]); });
    end(1);
  }

  bool undo() override {
    if (!can_undo_) return false;
    copy(before_, now());
    each_column([](LearnedVectors<T>& column) { column.undo(); });
    turn_over_all();
    layout_.unpack(parameters_.data(), flat_);
    --steps_taken;
    can_undo_ = has_before_ = false;
    return true;
  }

  void before(void* into) const override {
    __builtin_memcpy(into, flat_, layout_.flat_size() * sizeof(T));
    if (!has_before_) return;
    layout_.unpack(before_.parameters.data(), static_cast<T*>(into));
    each_column([&](const LearnedVectors<T>& column) { column.write_before(static_cast<T*>(into) + column.column().place); });
  }

  double evaluate(const Rows& rows, Team& team, const Interrupt& interrupt) override {
    begin(team.threads());
    const Partition parts = partition(rows.count, layout_.work_of_a_row());
    make_workspaces(layout_, parts, team.threads(), Purpose::training, workspaces_);
    look_at(rows);
    const Batch<T> batch{rows, nullptr, rows.count};
    add_up_sums(false, team);
    const double total_weight = batch.total_weight();
    Array<double> values{parts.parts};
    InterruptPoll poll{interrupt};
    team.each(parts.parts, false, [&](int who, Index part) {
      Workspace<T>& workspace = workspaces_[who];
      tiles(parts.begin(part), parts.end(part), layout_.tile_rows(), who, poll, [&](Index first, Index count) {
        lay_out(layout_, batch, first, count, total_weight, loss_.mean, vectors(), sums(), workspace);
        workspace.forward(places_.data(), count);
        values[part] += double(workspace.measure(loss_, 0, count));
      });
    });
    double total = 0;
    for (Index part = 0; part < parts.parts; ++part) total += values[part];
    return total;
  }

  void attach(void* flat) override { flat_ = static_cast<T*>(flat); }

  int moments() const override { return moments_used_; }

  void read(void* const* moments) const override {
    for (int m = 0; m < moments_used_; ++m) {
      T* const to = static_cast<T*>(moments[m]);
      __builtin_memset(to, 0, layout_.flat_size() * sizeof(T));
      if (!parameters_) continue;
      layout_.unpack(moments_[m].data(), to);
      each_column([&](const LearnedVectors<T>& column) {
        __builtin_memcpy(to + column.column().place, column.moment(m).data(), column.size() * sizeof(T));
      });
    }
  }

  void write(const void* const* moments, const void* before, std::uint64_t steps) override {
    make_vectors();
    for (int m = 0; m < moments_used_; ++m) layout_.pack(static_cast<const T*>(moments[m]), moments_[m].data());
    layout_.pack(static_cast<const T*>(before), before_.parameters.data());
    each_column([&](LearnedVectors<T>& column) {
      const T* of_column[most_moments] = {};
      for (int m = 0; m < moments_used_; ++m) of_column[m] = static_cast<const T*>(moments[m]) + column.column().place;
      column.write(of_column, static_cast<const T*>(before) + column.column().place);
    });
    for (Index l = 0; l < layout_.count(); ++l) before_is_old_[l] = true;
    steps_taken = steps;
    has_before_ = true;
    can_undo_ = false;
  }

 private:
  // The parameters and what the optimizer remembers, at some time.
  struct State {
    Array<T> parameters, moments[most_moments];
  };
  // Parameters side by side that learn at the same rate.
  struct Run {
    Index begin = 0, count = 0;
    double factor = 0;
  };

  double factor_of_weights(Index l) const { return factors_[layout_.layer(l).block]; }
  double factor_of_bias(Index l) const { return factors_[layout_.layer(l).block + 1]; }
  bool learns(Index l) const {
    const Layer& at = layout_.layer(l);
    for (Index block = at.block; block < at.block + at.blocks(); ++block)
      if (factors_[block] != 0) return true;
    return false;
  }

  // Calls work(column) for the columns of an embedding that learn.
  template <class Work>
  void each_column(const Work& work) const {
    for (Index c = 0; c < columns_.size(); ++c) work(columns_[c]);
  }

  // The loss of a batch as step `number` sees it, penalties included. What the gradient is found from stays.
  double measure(const LossSpec& spec, const Batch<T>& batch, std::uint64_t number, bool alone, Team& team,
                 InterruptPoll& poll) {
    if (is_tiny(batch)) return measure_tiny(spec, batch);
    tiny_.forget();
    if (partition_.rows != batch.rows) partition_ = partition(batch.rows, layout_.work_of_a_row());
    const Partition parts = partition_;
    const Index pieces_of_a_part = (layout_.piece_count() + parts.parts - 1) / parts.parts;
    const bool held = is_held(batch.rows);
    if (held && !has_room(batch.rows)) make_room(batch.rows);
    else if (!held) make_parts(parts, team.threads());
    const double total_weight = batch.total_weight();
    add_up_sums(alone, team);
    if (held && lay_out(layout_, batch, 0, batch.rows, total_weight, spec.mean, vectors(), sums(), held_[0]))
      list_by_column(batch.rows);
    // A thread's parts of a held batch go through the network together, as many as a tile has room for: so the weights
    // pass by less often. Their losses are measured one by one, whoever has them.
    const Index shares = held ? smaller(parts.parts, alone ? 1 : team.threads()) : parts.parts;
    team.each(shares, alone, [&](int who, Index share) {
      Workspace<T>& workspace = held ? held_[0] : workspaces_[who];
      const Index end = (share + 1) * parts.parts / shares;
      Index part = share * parts.parts / shares;
      const Index most = rows_of_a_tile(parts.begin(end) - parts.begin(part), layout_.tile_rows());
      for (Index after = part; part < end; part = after) {
        do losses_[after++] = 0;
        while (after < end && parts.end(after) - parts.begin(part) <= most);
        tiles(parts.begin(part), parts.begin(after), most, who, poll, [&](Index first, Index rows) {
          const Span span{held ? first : 0, rows, first};
          if (!held) {
            lay_out(layout_, batch, first, rows, total_weight, spec.mean, vectors(), sums(), workspace);
            if (batch.shuffled()) call_for(layout_, batch, first + rows, smaller(first + 2 * rows, parts.end(part)));
          }
          workspace.forward_in_training(places_.data(), span, {seed, number});
          for (Index p = part; p < after; ++p) {
            const Index begin = larger(first, parts.begin(p)), stop = smaller(first + rows, parts.end(p));
            losses_[p] += double(workspace.measure(spec, span.first + begin - first, stop - begin));
          }
          workspace.backward(places_.data(), turned_places_.data(), span, lowest_);
          if (!held) learn(workspace, rows, first > parts.begin(part), part);
        });
        for (Index p = part; p < after; ++p)
          penalties_[p] = penalty(layout_, rule_.l1, rule_.l2, parameters_.data(), p * pieces_of_a_part,
                                  (p + 1) * pieces_of_a_part);
      }
    });
    each_column([&](LearnedVectors<T>& column) {
      if (!held) return column.add_parts(parts.parts);
      column.clear();
      column.add(levels(held_[0], column), held_[0].errors_of_vectors(), batch.rows, counts(held_[0]));
    });
    if (uses_sums() && factor_of_weights(layout_.reader()) != 0) hand_on_sums(held, parts.parts, alone, team);
    double loss = 0, penalties = 0;
    for (Index part = 0; part < parts.parts; ++part) loss += losses_[part], penalties += penalties_[part];
    share_of_penalty_ = rule_.penalty_by_rows && total_weight > 0 ? 1 / total_weight : 1;
    return loss + share_of_penalty_ * penalties;
  }

  // The gradient of all that learns, (+)= from a tile of rows of a part.
  void learn(const Workspace<T>& workspace, Index rows, bool adding, Index part) {
    for (Index l = layout_.count() - 1; l >= lowest_; --l) {
      const Layer& at = layout_.layer(l);
      T* const to = gradients_.data() + part * layout_.size() + at.place;
      if (at.height > 0)
        workspace.learn(l, rows, adding, factor_of_weights(l) != 0 ? to : nullptr,
                        at.bias && factor_of_bias(l) != 0 ? to + at.weights : nullptr, gradient_of_sums(part),
                        uses_sums() ? sums_.count() : 0);
    }
    each_column([&](LearnedVectors<T>& column) {
      if (!adding) column.clear(part);
      column.add(levels(workspace, column), workspace.errors_of_vectors(), rows, counts(workspace), part);
    });
  }

  // The level of each row in a column of vectors.
  static auto levels(const Workspace<T>& workspace, const LearnedVectors<T>& column) {
    return [&workspace, number = column.number()](Index r) { return workspace.level(r, number); };
  }

  // The entries of a held batch by their column, from which the gradient of the weights that they meet is found.
  void list_by_column(Index rows) {
    Workspace<T>& held = held_[0];
    const Index reader = held.is_compact ? layout_.reader() : 0;
    if (!held.is_sparse || !is<Dense>(layout_.layer(reader).kind) || factor_of_weights(reader) == 0) return;
    held.by_column.list(held.sparse.data(), rows, layout_.layer(reader).inputs + (uses_sums() ? sums_.count() : 0));
  }

  // Running sums of the weights that compact rows meet

  bool uses_sums() const { return encoding_ != nullptr && layout_.reader() >= 0 && encoding_->sums > 0; }
  const T* sums() const { return uses_sums() ? sums_.sums() : nullptr; }
  const T* vectors() const { return layout_.layer(0).vectors != nullptr ? places_[0] : nullptr; }
  T* gradient_of_sums(Index part) const {
    return uses_sums() ? gradients_of_sums_.data() + part * sums_.count() * layout_.layer(layout_.reader()).stride : nullptr;
  }

  void add_up_sums(bool alone, Team& team) {
    if (!uses_sums()) return;
    const Layer &at = layout_.layer(layout_.reader()), &first = layout_.layer(0);
    sums_.take(*encoding_, at.stride, first.vectors != nullptr ? first.asked() - first.columns : 0);
    team.each(sums_.parts(), alone || layout_.size() < least_size_to_share,
              [&](int, Index p) { sums_.add_up(p, places_[layout_.reader()]); });
  }

  // The gradients by the running sums, from all rows of the batch, handed on to the weights in them.
  void hand_on_sums(bool held, Index parts, bool alone, Team& team) {
    const Index stride = layout_.layer(layout_.reader()).stride;
    team.each(sums_.parts(), alone || layout_.size() < least_size_to_share, [&](int, Index p) {
      const EncodingPart& part = encoding_->parts[p];
      if (part.edge_count == 0) return;
      T* const to = sums_.gradient() + part.first_sum * stride;
      if (held) held_[0].learn_sums(part.first_sum, part.edge_count - 1, to);
      else
        for (Index i = 0; i < parts; ++i)
          add(gradient_of_sums(i) + part.first_sum * stride, (part.edge_count - 1) * stride, i > 0, to);
      sums_.hand_on(p);
    });
  }

  // What rows count.
  auto counts(const Workspace<T>& workspace) const {
    return [&workspace, stride = layout_.last().stride](Index r) { return workspace.factors[r * stride]; };
  }

  // Networks that are tiny

  bool is_tiny(const Batch<T>& batch) const { return layout_is_tiny_ && Tiny<T>::fits(batch); }

  double measure_tiny(const LossSpec& spec, const Batch<T>& batch) {
    if (!has_room(Tiny<T>::room(batch.rows))) make_room(Tiny<T>::room(batch.rows));
    const double loss = double(tiny_.measure(spec, batch));
    if (rule_.l1 == 0 && rule_.l2 == 0) return loss;
    const double total_weight = batch.total_weight();
    share_of_penalty_ = rule_.penalty_by_rows && total_weight > 0 ? 1 / total_weight : 1;
    return loss + share_of_penalty_ * penalty(layout_, rule_.l1, rule_.l2, parameters_.data(), 0, layout_.piece_count());
  }

  void learn_tiny() {
    tiny_.learn();
    if (rule_.l1 == 0 && rule_.l2 == 0) return;
    for (Index p = 0; p < moving_count_; ++p) add_penalty(moving_[p], piece_of(layout_, gradient_.data(), moving_[p]));
  }

  [[gnu::always_inline]] double step_of_tiny(const Batch<T>& batch, std::uint64_t number, double rate, bool keep_before) {
    const double loss = measure_tiny(loss_, batch);
    if (!__builtin_isfinite(loss)) return loss;
    learn_tiny();
    const T scale = rule_.clip_norm != 0 ? shortening(rule_.clip_norm) : T(1);
    const Vectors<T> vectors = now();
    Vectors<T> before{};
    if (keep_before) {
      before = vectors_of(before_);
      keep_what_does_not_move();
    }
    with_rule<T>(rule_, number + 1, powers_, [&](auto rule) {
      for (Index i = 0; i < run_count_; ++i)
        update(rule.at(rate * runs_[i].factor), vectors, before, runs_[i].begin, runs_[i].count,
               gradient_.data() + runs_[i].begin, scale);
    });
    if (layout_.turned_size() > 0) turn_over_all();
    return loss;
  }

  // One step of the optimizer; returns the loss before it. Where that is not finite, nothing is moved.
  double one_step(const Rows& rows, const Steps& steps, Index i, bool keep_start, bool keep_before, Team& team,
                  InterruptPoll& poll) {
    const Batch<T> batch = Batch<T>::of(rows, steps, i);
    if (steps.others != nullptr || !is_tiny(batch)) return step(rows, steps, i, keep_start, keep_before, team, poll);
    if (poll.over()) return 0;
    if (batch.shuffled() && i + 1 < steps.count) call_for(layout_, Batch<T>::of(rows, steps, i + 1), 0, batch.rows);
    return step_of_tiny(batch, steps_taken + std::uint64_t(i), steps.rates[i], keep_before);
  }

  double step(const Rows& rows, const Steps& steps, Index i, bool keep_start, bool keep_before, Team& team,
              InterruptPoll& poll) {
    const Batch<T> batch = Batch<T>::of(rows, steps, i);
    const bool more = batch.shuffled() && i + 1 < steps.count;
    const Batch<T> next = more ? Batch<T>::of(rows, steps, i + 1) : batch;
    const Index next_of_a_piece = more ? next.rows / larger(moving_count_, 1) + 1 : 0;
    const std::uint64_t number = steps_taken + std::uint64_t(i);
    const bool alone = team.threads() == 1 || tuner_.alone();
    const bool clips = rule_.clip_norm != 0, with_others = steps.others != nullptr, is_found = clips || with_others;
    double loss = batch.rows > 0 ? measure(loss_, batch, number, alone, team, poll) : 0;
    T scale = 1;
    if (with_others && !poll.stopped()) {
      if (batch.rows > 0) find_gradient(batch, alone, team);
      else clear_gradient();
      loss = add_up(*steps.others, loss, batch, scale, poll);
    }
    if (poll.stopped() || !__builtin_isfinite(loss)) return loss;
    if (clips && !with_others) find_gradient(batch, alone, team);
    if (clips && scale > 0) scale *= shortening(rule_.clip_norm / double(scale));
    move_all(number, steps.rates[i], keep_start, keep_before, scale, alone, team, [&](Index p, int who) {
      call_for(layout_, next, p * next_of_a_piece, (p + 1) * next_of_a_piece);
      if (is_found) return piece_of(layout_, gradient_.data(), moving_[p]);
      const PieceOf<T> found = piece_in(scratch_.data() + who * layout_.most_of_a_piece(), moving_[p]);
      find(batch, moving_[p], found);
      return found;
    }, steps.others == nullptr);
    if (team.threads() > 1 && (partition_.parts > 1 || layout_.size() >= least_size_to_share)) tuner_.step_done();
    return loss;
  }

  // The loss of a batch of which others have rows, too; the gradient becomes that of all, up to a scale.
  // Twin: SharedEngine.steps in src/nineline/training/shared/engine.py.
  double add_up(const Others& others, double loss, const Batch<T>& batch, T& scale, InterruptPoll& poll) {
    T* behind = gradient_.data() + layout_.size();
    each_column([&](const LearnedVectors<T>& column) {
      column.write_gradient(behind);
      behind += column.size();
    });
    behind[0] = T(loss);
    behind[1] = T(batch.total_weight());
    if (!others.add_up(others.context, gradient_.data(), behind - gradient_.data() + Others::behind)) poll.stop();
    const T* vectors = gradient_.data() + layout_.size();
    each_column([&](LearnedVectors<T>& column) {
      column.take(vectors);
      vectors += column.size();
    });
    const double share = !others.mean ? 1 : behind[1] > 0 ? 1 / double(behind[1]) : 0;
    scale = T(share);
    return double(behind[0]) * share;
  }

  // The step that follows from a gradient, of which find(p, who) says where piece p is.
  template <class Find>
  void move_all(std::uint64_t number, double rate, bool keep_start, bool keep_before, T scale, bool alone, Team& team,
                const Find& find, bool keep_moments = true) {
    const Vectors<T> vectors = now();
    Vectors<T> before{};
    if (keep_before) {
      before = vectors_of(before_);
      if (!keep_moments)
        for (int m = 0; m < most_moments; ++m) before.moments[m] = vectors.moments[m];  // and are overwritten there
      keep_what_does_not_move();
    }
    with_rule<T>(rule_, number + 1, powers_, [&](auto rule) {
      team.each(moving_count_, alone || layout_.size() < least_size_to_share, [&](int who, Index p) {
        const Piece& piece = moving_[p];
        const PieceOf<T> gradient = find(p, who);
        const Layer& at = layout_.layer(piece.layer);
        const double* const factors = factors_.data() + at.block;
        move_piece(at, piece, rule.at(rate * factors[0]), rule.at(rate * factors[piece.bias ? 1 : 0]), vectors, before,
                   gradient, scale);
        if (piece.weights) turn_over_block(piece.layer, piece.block);
      });
      each_column([&](LearnedVectors<T>& column) {
        column.move(rule.at(rate * factors_[layout_.layer(0).block + column.number()]), scale, keep_start, keep_before);
      });
    });
  }

  // What the whole gradient is shortened by.
  T shortening(double clip_norm) const {
    return NINELINE_LEVEL::shortening<T>(
        [&](const auto& work) {
          work(gradient_.data(), layout_.size());
          each_column([&](const LearnedVectors<T>& column) { work(column.gradient(), column.gradient_size()); });
        },
        clip_norm);
  }

  // The gradient of a piece, penalties included.
  void find(const Batch<T>& batch, const Piece& piece, const PieceOf<T>& to) {
    const Layer& at = layout_.layer(piece.layer);
    if (is_held(batch.rows)) {
      held_[0].learn(piece.layer, batch.rows, piece.block, to.weights, to.bias);
    } else {
      for (Index part = 0; part < partition_.parts; ++part)
        add_piece(at, piece, piece_of(layout_, gradients_.data() + part * layout_.size(), piece), part > 0, to);
    }
    if (piece.weights && uses_sums() && piece.layer == layout_.reader()) sums_.add_to(piece.block, to.weights);
    add_penalty(piece, to);
  }

  void add_penalty(const Piece& piece, const PieceOf<T>& gradient) {
    if (piece.weights && layout_.layer(piece.layer).penalised && (rule_.l1 != 0 || rule_.l2 != 0))
      NINELINE_LEVEL::add_penalty(rule_.l1 * share_of_penalty_, rule_.l2 * share_of_penalty_, piece.block,
                                  piece_of(layout_, parameters_.data(), piece).weights, gradient.weights);
  }

  // Room for the gradient, and behind it for that of vectors as others are told it.
  void make_gradient() {
    if (gradient_) return;
    Index size = layout_.size() + Others::behind;
    each_column([&](const LearnedVectors<T>& column) { size += column.size(); });
    gradient_ = Array<T>{size};
  }

  void clear_gradient() {
    make_gradient();
    __builtin_memset(gradient_.data(), 0, layout_.size() * sizeof(T));
    each_column([](LearnedVectors<T>& column) { column.clear(); });
  }

  // The gradient of all parameters; of what does not learn it stays 0.
  void find_gradient(const Batch<T>& batch, bool alone, Team& team) {
    make_gradient();
    if (is_tiny(batch)) return learn_tiny();
    team.each(moving_count_, alone || layout_.size() < least_size_to_share,
              [&](int, Index p) { find(batch, moving_[p], piece_of(layout_, gradient_.data(), moving_[p])); });
  }

  // What a call begins and ends with

  // Packs what differs from the caller's vector. Bits are compared, for NaN differs from itself.
  void begin(int threads) {
    make_vectors();
    if (threads > threads_prepared_) {
      scratch_ = Array<T>{threads * layout_.most_of_a_piece()};
      threads_prepared_ = threads;
    }
    for (Index l = 0; l < layout_.count(); ++l) {
      const Layer& at = layout_.layer(l);
      if (at.height == 0 || is_packed(at, flat_ + at.flat, parameters_.data() + at.place)) continue;
      pack(at, flat_ + at.flat, parameters_.data() + at.place);
      turn_over_block(l, {0, at.height, 0, at.stride});
      before_is_old_[l] = true;
    }
  }

  void look_at(const Rows& rows) {
    encoding_ = rows.encoding;
    tiny_.forget();
    const bool zeros = is_mostly_zeros(layout_, rows);
    const auto other_rows = [&](List<Workspace<T>>& workspaces) {
      for (Index i = 0; i < workspaces.size(); ++i) {
        workspaces[i].holds_all = false;
        workspaces[i].mostly_zeros = zeros;
      }
    };
    mostly_zeros_ = zeros;
    other_rows(workspaces_);
    other_rows(held_);
  }

  void end(std::uint64_t taken) {
    for (Index l = 0; l < layout_.count(); ++l) {
      const Layer& at = layout_.layer(l);
      if (at.height > 0 && learns(l)) unpack(at, parameters_.data() + at.place, flat_ + at.flat);
    }
    steps_taken += taken;
    can_undo_ = has_before_ = true;
  }

  // A block of a layer's weights into the copy that the errors of its inputs are computed with.
  void turn_over_block(Index l, const Block& block) {
    const Layer& at = layout_.layer(l);
    if (turned_places_[l] == nullptr || block.rows == 0) return;
    const Index rows = smaller(block.rows, at.asked_inputs - block.first_row);
    if (rows <= 0) return;
    T* to = const_cast<T*>(turned_places_[l]);
    const Index columns = smaller(block.columns, at.outputs - block.first_column);
    turn_over<T>({parameters_.data() + at.place + block.first_row * at.stride + block.first_column, at.stride},
                 rows, columns, {to + block.first_column * at.turned_stride + block.first_row, at.turned_stride});
  }

  void turn_over_all() {
    for (Index l = 0; l < layout_.count(); ++l)
      turn_over_block(l, {0, layout_.layer(l).height, 0, layout_.layer(l).stride});
  }

  // What the step itself does not write to `before_`: layers with a block that does not learn, where they have changed.
  void keep_what_does_not_move() {
    for (Index l = 0; l < layout_.count(); ++l) {
      const Layer& at = layout_.layer(l);
      if (!before_is_old_[l] || at.height == 0) continue;
      before_is_old_[l] = false;
      if (factor_of_weights(l) != 0 && (!at.bias || factor_of_bias(l) != 0)) continue;
      const auto keep = [&](const Array<T>& from, const Array<T>& to) {
        __builtin_memcpy(to.data() + at.place, from.data() + at.place, at.size * sizeof(T));
      };
      keep(parameters_, before_.parameters);
      for (int m = 0; m < moments_used_; ++m) keep(moments_[m], before_.moments[m]);
    }
  }

  Vectors<T> now() const { return {parameters_.data(), {moments_[0].data(), moments_[1].data()}}; }
  static Vectors<T> vectors_of(const State& state) {
    return {state.parameters.data(), {state.moments[0].data(), state.moments[1].data()}};
  }

  void copy(const Vectors<T>& from, State& to) {
    if (!to.parameters) to = made();
    __builtin_memcpy(to.parameters.data(), from.parameters, layout_.size() * sizeof(T));
    for (int m = 0; m < moments_used_; ++m)
      __builtin_memcpy(to.moments[m].data(), from.moments[m], layout_.size() * sizeof(T));
  }
  void copy(const State& from, const Vectors<T>& to) {
    __builtin_memcpy(to.parameters, from.parameters.data(), layout_.size() * sizeof(T));
    for (int m = 0; m < moments_used_; ++m)
      __builtin_memcpy(to.moments[m], from.moments[m].data(), layout_.size() * sizeof(T));
  }

  // Memory, made when it is first wanted and kept

  State made() const {
    State state;
    state.parameters = Array<T>{layout_.size()};
    for (int m = 0; m < moments_used_; ++m) state.moments[m] = Array<T>{layout_.size()};
    return state;
  }

  void make_vectors() {
    if (parameters_) return;
    const Index layers = layout_.count();
    before_ = made();
    losses_ = Array<double>{most_parts};
    penalties_ = Array<double>{most_parts};
    turned_ = Array<T>{layout_.turned_size()};
    places_ = Array<const T*>{layers};
    turned_places_ = Array<const T*>{layers};
    before_is_old_ = Array<bool>{layers};
    moving_ = Array<Piece>{layout_.piece_count()};
    for (Index p = 0; p < layout_.piece_count(); ++p) {
      Piece piece = layout_.piece(p);
      piece.weights = factor_of_weights(piece.layer) != 0;
      piece.bias = piece.bias && factor_of_bias(piece.layer) != 0;
      if (piece.weights || piece.bias) moving_[moving_count_++] = piece;
    }
    State state = made();
    for (int m = 0; m < moments_used_; ++m) moments_[m] = static_cast<Array<T>&&>(state.moments[m]);
    parameters_ = static_cast<Array<T>&&>(state.parameters);
    for (Index l = 0; l < layers; ++l) {
      const Layer& at = layout_.layer(l);
      places_[l] = at.vectors != nullptr ? flat_ + at.flat : parameters_.data() + at.place;
      turned_places_[l] = at.has_turned_copy && l > lowest_ ? turned_.data() + at.turned_place : nullptr;
      before_is_old_[l] = true;
    }
    make_columns();
    make_runs();
  }

  void make_runs() {
    runs_ = List<Run>{2 * layout_.count()};
    for (Index l = 0; l < layout_.count(); ++l) {
      const Layer& at = layout_.layer(l);
      if (at.height == 0) continue;
      add_run({at.place, at.weights, factor_of_weights(l)});
      if (at.bias) add_run({at.place + at.weights, at.stride_of_bias(), factor_of_bias(l)});
    }
  }

  void add_run(const Run& run) {
    if (run.factor == 0) return;
    Run* const last = run_count_ > 0 ? &runs_[run_count_ - 1] : nullptr;
    if (last != nullptr && last->factor == run.factor && last->begin + last->count == run.begin) last->count += run.count;
    else runs_[run_count_++] = run;
  }

  void make_columns() {
    const Layer& first = layout_.layer(0);
    if (first.vectors == nullptr) return;
    Index learning = 0;
    for (Index c = 0; c < first.columns; ++c) learning += factors_[first.block + c] != 0;
    columns_ = List<LearnedVectors<T>>{learning};
    for (Index c = first.columns - 1; c >= 0; --c)
      if (factors_[first.block + c] != 0)
        columns_[--learning].make(first.vectors[c], int(c), flat_ + first.vectors[c].place, moments_used_, most_parts);
  }

  // Whether all rows of a batch are kept until its gradient is found.
  static bool is_held(Index rows) { return rows <= most_rows_held; }

  bool has_room(Index rows) const { return held_.size() > 0 && held_[0].room() >= rows; }
  void make_room(Index rows) {
    held_ = List<Workspace<T>>{1, layout_, rows, Purpose::training};
    held_[0].mostly_zeros = mostly_zeros_;
    if (!layout_is_tiny_) return;
    make_gradient();
    tiny_ = Tiny<T>{layout_, held_[0], places_.data(), turned_places_.data(), lowest_, factors_.data(), gradient_.data()};
  }

  void make_parts(const Partition& parts, int threads) {
    make_workspaces(layout_, parts, threads, Purpose::training, workspaces_);
    for (Index i = 0; i < workspaces_.size(); ++i) workspaces_[i].mostly_zeros = mostly_zeros_;
    if (uses_sums()) {
      const Index wanted = parts.parts * encoding_->sums * layout_.layer(layout_.reader()).stride;
      if (wanted > size_of_gradients_of_sums_) {
        gradients_of_sums_ = Array<T>{wanted};
        size_of_gradients_of_sums_ = wanted;
      }
    }
    if (parts.parts <= parts_made_) return;
    gradients_ = Array<T>{parts.parts * layout_.size()};
    parts_made_ = parts.parts;
  }

  static constexpr Index least_size_to_share = 8192;  // of the parameters, for their pieces to be shared by threads

  const Layout<T>& layout_;
  LossSpec loss_;
  RuleSpec rule_;
  int moments_used_;
  T* flat_;                 // the caller's parameters
  Array<double> factors_;   // of the blocks
  Index lowest_;            // the first layer that learns, or the last of all: errors go back no further

  Array<T> parameters_, moments_[most_moments], turned_;
  State before_, start_;  // the last step; a call of several steps
  Array<bool> before_is_old_;  // of each layer: something has changed it that was not a step
  bool has_before_ = false, can_undo_ = false;
  Array<const T*> places_, turned_places_;  // of each layer's parameters, and of their turned copies
  Array<Piece> moving_;  // the pieces that learn
  Index moving_count_ = 0;

  List<LearnedVectors<T>> columns_;  // of an embedding: those that learn
  Array<T> gradients_, gradient_, scratch_;  // of the parts; of all parameters, where it is wanted; of pieces
  Array<double> losses_, penalties_;  // of the parts
  Partition partition_{};  // of the last batch
  double share_of_penalty_ = 1;
  bool mostly_zeros_ = false;  // the rows of this call
  const Encoding* encoding_ = nullptr;  // of them, where they are compact
  RunningSums<T> sums_;
  Array<T> gradients_of_sums_;  // of the parts
  Index size_of_gradients_of_sums_ = 0;
  bool layout_is_tiny_ = Tiny<T>::fits(layout_);
  Tiny<T> tiny_;  // of rows that are held
  List<Run> runs_;
  Index run_count_ = 0;
  Powers powers_[2];
  List<Workspace<T>> workspaces_, held_;  // of tiles, one a thread; of a batch that is held
  Index parts_made_ = 0;
  int threads_prepared_ = 0;
  TeamTuner tuner_;
};

template <class T>
nineline::Training* Layout<T>::train(const LossSpec& loss, const RuleSpec& rule, const double* factors,
                                     void* flat) const {
  return new Training<T>{*this, loss, rule, factors, static_cast<T*>(flat)};
}

}  // namespace nineline::NINELINE_LEVEL

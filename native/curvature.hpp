// The loss of some rows around the parameters to second order, as Gauss and Newton see it, and the damped step from it.
//
// J, the derivatives of the residuals by the parameters that learn, is found for some rows at a time, with the residuals
// c as one column more, and J'J, J'c added up from it; it is kept only where there are fewer residuals than parameters,
// and then J J' stands for J'J. Threads share the rows of J and then the rows of J'J, so that every sum has one order.
// Twin: ReferenceCurvature in src/nineline/engines/curvature.py.
#pragma once

#include "cholesky.hpp"
#include "each_output.hpp"

namespace nineline::NINELINE_LEVEL {

template <class T>
class Curvature final : public nineline::Curvature {
 public:
  Curvature(const Layout<T>& layout, const LossSpec& loss, const RuleSpec& rule, const double* factors, T* flat)
      : layout_{layout}, loss_{loss}, rule_{rule}, flat_{flat}, placed_{layout, true}, blocks_{layout.block_count()},
        lowest_{layout.count() - 1} {
    with_loss(loss.kind, [&](auto kind) { joined_ = joins<decltype(kind)>(layout.last().activation); });
    take_blocks(factors);
    stride_ = round_up(n_ + 1, width<T>);  // c stands behind the parameters
    point_ = Array<T>{stride_};
    scaling_ = Array<T>{stride_};
    scaling_before_ = Array<T>{stride_};
    l2_ = Array<T>{stride_};
    added_ = Array<T>{stride_};
    gradient_ = Array<T>{stride_};
    step_ = Array<T>{stride_};
  }

  Index size() const override { return n_; }
  double* scaling() override { return scaling_.data(); }

  Measured measure(const Rows& rows, double decay, Team& team, const Interrupt& interrupt) override {
    prepare(rows, team);
    InterruptPoll poll{interrupt};
    placed_.take(flat_);
    each_parameter([&](Index i, T* at) { point_[i] = *at; });
    const Index outputs = layout_.outputs();
    double loss = 0;
    residuals_ = rows.count * outputs;
    for (Index first = 0; first < rows.count && !poll.stopped(); first += rows_at_once_) {
      const Index count = smaller(rows_at_once_, rows.count - first);
      T* const jacobian = jacobian_.data() + (wide_ ? first * outputs * row_of_j() : 0);
      const Index tiles_here = (count + room_ - 1) / room_;
      losses_at_once(tiles_here);
      team.each(tiles_here, alone_, [&](int who, Index tile) {
        if (who == 0 ? poll.over() : poll.stopped()) return;
        const Index begin = tile * room_, here = smaller(room_, count - begin);
        losses_[tile] = find(rows, first + begin, here, rooms_[who], jacobian + begin * outputs * row_of_j());
      });
      for (Index tile = 0; tile < tiles_here; ++tile) loss += losses_[tile];
      if (!wide_) add_up(jacobian, count * outputs, first > 0, team);
    }
    stopped_ = poll.stopped();
    if (wide_) take_diagonal_of_wide();
    return finish(loss, decay);
  }

  bool step(const Rows& rows, double damping, double decay, Trial& trial, Team& team, const Interrupt& interrupt) override {
    T least = 0;
    for (Index i = 0; i < n_; ++i) least += scaling_[i];
    least /= T(larger(n_, 1));
    const auto damped = [&](Index i) { return T(damping) * (scaling_[i] > least ? scaling_[i] : least); };
    for (Index i = 0; i < n_; ++i) added_[i] = damped(i) + l2_[i] + T(decay);
    if (!(wide_ ? solve_wide(decay, team) : solve(decay, team))) return false;
    double foreseen = 0, squares = 0;
    for (Index i = 0; i < n_; ++i) {
      const T slope = gradient_[i] + T(decay) * point_[i];
      foreseen += double(step_[i]) * double(damped(i) * step_[i] - slope);
    }
    if (!__builtin_isfinite(foreseen)) return false;
    each_parameter([&](Index i, T* at) {
      *at = point_[i] + step_[i];
      squares += double(*at) * double(*at);
    });
    trial = {foreseen / 2, look(rows, team, interrupt), squares};
    return true;
  }

  void back() override {
    each_parameter([&](Index i, T* at) { *at = point_[i]; });
  }

  // Twin: LevenbergMarquardtEngine.iterate in src/nineline/training/levenberg_marquardt.py.
  Index descend(const Rows& rows, Descent& how, Index count, double* losses, double* dampings, Team& team,
                const Interrupt& interrupt) override {
    constexpr double least_damping = 1e-20;
    for (Index i = 0; i < count; ++i) {
      __builtin_memcpy(scaling_before_.data(), scaling_.data(), stride_ * sizeof(T));
      how.damping_before = how.damping;
      how.growth_before = how.growth;
      const Measured here = measure(rows, 0, team, interrupt);
      if (stopped_) return how.why = Descent::interrupted, i;
      losses[i] = here.loss;
      dampings[i] = how.damping;
      if (!__builtin_isfinite(here.loss)) return i + 1;
      if (here.loss <= how.goal) how.why = Descent::goal_reached;
      else if (here.steepest <= how.min_gradient) how.why = Descent::flat;
      if (how.why != Descent::going_on) return i + 1;
      double damping = how.damping, growth = how.growth;
      bool lower = false;
      while (!lower && damping <= how.max_damping) {
        if (Trial there; step(rows, damping, 0, there, team, interrupt)) {
          if (stopped_) return back(), how.why = Descent::interrupted, i;
          const double fallen = here.loss - there.loss, share = 2 * fallen / there.foreseen - 1;
          if (lower = fallen > 0; lower) {
            dampings[i] = damping;
            const double factor = 1 - share * share * share;
            how.damping = damping * (factor > 1.0 / 3 ? factor : 1.0 / 3);
            if (how.damping < least_damping) how.damping = least_damping;
            how.growth = 2;
            break;
          }
          back();
        }
        damping *= growth;
        growth *= 2;
      }
      if (lower) continue;
      dampings[i] = damping;
      how.why = Descent::no_damping;
      return i + 1;
    }
    return count;
  }

  const double* point() const override { return point_.data(); }
  const double* scaling_before() const override { return scaling_before_.data(); }

  double effective_parameters(double decay, Team& team) override {
    const Index count = wide_ ? residuals_ : n_;
    make_square(count);
    if (wide_) multiply_wide(false);
    else copy_triangle();
    for (Index i = 0; i < count; ++i) square_[i * square_stride_ + i] += T(decay);
    if (!factor<T>({square_.data(), square_stride_}, count, panel_.data(), team)) return double(count);
    return double(count) - decay * double(trace_of_inverse<T>({square_.data(), square_stride_}, count, other_.data()));
  }

 private:
  // A block of the parameters: where it is in Python's vector, and where among those that learn, or -1.
  struct Place {
    Index flat, size, learning;
  };

  static constexpr Index most_rows = 512, most_bytes = Index(1) << 18;  // of J at a time

  void take_blocks(const double* factors) {
    for (Index l = 0; l < layout_.count(); ++l) {
      const Layer& at = layout_.layer(l);
      Index flat = at.flat;
      for (Index b = 0; b < at.blocks(); ++b) {
        const Index size = at.vectors != nullptr ? at.vectors[b].levels * at.vectors[b].width
                           : b == 0 ? at.height * at.outputs : at.outputs;
        const bool learns = factors[at.block + b] != 0;
        blocks_[at.block + b] = {flat, size, learns ? n_ : -1};
        if (learns) n_ += size;
        if (learns && l < lowest_) lowest_ = l;
        flat += size;
      }
    }
  }

  // Calls work(i, where) for each parameter that learns.
  template <class Work>
  void each_parameter(const Work& work) const {
    for (Index b = 0; b < layout_.block_count(); ++b)
      for (Index i = 0; blocks_[b].learning >= 0 && i < blocks_[b].size; ++i)
        work(blocks_[b].learning + i, flat_ + blocks_[b].flat + i);
  }

  Index row_of_j() const { return stride_ + width<T>; }  // what is written in whole vectors ends behind it

  void prepare(const Rows& rows, Team& team) {
    const Batch<T> batch{rows, nullptr, rows.count};
    total_weight_ = batch.total_weight();
    const double share = !rule_.penalty_by_rows ? 1 : total_weight_ > 0 ? 1 / total_weight_ : 1;
    for (Index l = 0; l < layout_.count(); ++l) {
      const Layer& at = layout_.layer(l);
      if (!at.penalised || blocks_[at.block].learning < 0) continue;
      for (Index i = 0; i < blocks_[at.block].size; ++i) l2_[blocks_[at.block].learning + i] = T(rule_.l2 * share);
    }
    alone_ = team.threads() == 1 || double(rows.count) * layout_.work_of_a_row() * double(layout_.outputs()) < 200e3;
    const Index workers = alone_ ? 1 : team.threads();
    if (rooms_.size() < workers) {
      rooms_ = List<EachOutput<T>>{};
      inputs_ = Array<T>{workers * widest()};
      rooms_ = List<EachOutput<T>>{workers, layout_, round_up(rows.count, 8)};  // last: they say that there is room
      room_ = rooms_[0].room();
    }
    const Index outputs = layout_.outputs();
    wide_ = rows.count * outputs < n_;
    const Index fitting = larger(32, most_bytes / (row_of_j() * Index(sizeof(T))));
    rows_at_once_ = wide_ ? rows.count : round_up(larger(1, smaller(smaller(most_rows, fitting), rows.count * outputs) / outputs), room_);
    const Index lines = (wide_ ? rows.count : smaller(rows_at_once_, round_up(rows.count, room_))) * outputs;
    if (lines > lines_) {
      jacobian_ = Array<T>{lines * row_of_j()};
      list_ = Array<const T*>{lines};
      for (Index i = 0; i < lines; ++i) list_[i] = jacobian_.data() + i * row_of_j();
      lines_ = lines;
    }
    if (!wide_ && !matrix_) matrix_ = Array<T>{(n_ + 1) * stride_};
  }

  Index widest() const {
    Index most = layout_.inputs();
    for (Index l = 0; l < layout_.count(); ++l) most = larger(most, layout_.layer(l).inputs);
    return round_up(most, width<T>) + width<T>;
  }

  void losses_at_once(Index count) {
    if (count <= losses_room_) return;
    losses_ = Array<double>{count};
    losses_room_ = count;
  }

  void lay_out_rows(const Rows& rows, Index first, Index count, Workspace<T>& to) const {
    const Batch<T> batch{rows, nullptr, rows.count};
    lay_out(layout_, batch, first, count, total_weight_, loss_.mean, placed_[0], static_cast<const T*>(nullptr), to);
  }

  // The rows of J and c of some rows of the data; returns their loss.
  double find(const Rows& rows, Index first, Index count, EachOutput<T>& each, T* jacobian) {
    Workspace<T>& on = each.rows;
    lay_out_rows(rows, first, count, on);
    on.forward(placed_.parameters(), count);
    const double loss = double(on.measure(loss_, 0, count));
    const Index last = layout_.count() - 1, outputs = layout_.outputs(), stride = layout_.last().stride;
    T *const scales = each.scales(), *const residuals = each.residuals();
    T factor = 0, root = 0;
    for (Index r = 0; r < count; ++r)
      for (Index o = 0; o < outputs; ++o) {
        const T y = on.outputs_of(last, r)[o], far = joined_ ? deviation(y) : T(1);
        if (on.factors[r * stride + o] != factor) {
          factor = on.factors[r * stride + o];
          root = T(__builtin_sqrt(double(factor)));
        }
        scales[r * outputs + o] = root * far;
        residuals[r * outputs + o] = root * (y - on.targets[r * stride + o]) / far;
      }
    each.backward(placed_, count, lowest_, joined_, [&](Index r, Index o) { return scales[r * outputs + o]; });
    write(each, count, inputs_.data() + (&each - &rooms_[0]) * widest(), jacobian);
    for (Index p = 0; p < count * outputs; ++p) {
      T* const row = jacobian + p * row_of_j();
      row[n_] = residuals[p];
      for (Index i = n_ + 1; i < stride_; ++i) row[i] = 0;
    }
    return loss;
  }

  // The standard deviation of a target whose mean is y, where the loss joins the output; else 1.
  T deviation(T y) const {
    T answer = 1;
    with_loss(loss_.kind, [&](auto kind) {
      using Kind = decltype(kind);
      if constexpr (!std::is_void_v<typename Kind::Joins>) {
        const T variance = Kind::variance(y), least = sizeof(T) == 4 ? T(0x1p-126) : T(0x1p-1022);
        answer = T(__builtin_sqrt(double(variance > least ? variance : least)));
      }
    });
    return answer;
  }

  // Rows of J, from the errors that have come back, in the order of the parameters: what is written in whole vectors ends
  // in what comes later. `room` is for inputs that do not lie as numbers.
  void write(EachOutput<T>& each, Index count, T* room, T* to) const {
    const Index outputs = layout_.outputs();
    for (Index l = lowest_; l < layout_.count(); ++l) {
      const Layer& at = layout_.layer(l);
      const Place* const blocks = blocks_.data() + at.block;
      const auto rows = [&](const auto& work) {
        for (Index r = 0, p = 0; r < count; ++r)
          for (Index o = 0; o < outputs; ++o, ++p) work(r, p, each.pairs().errors_of(l, p), to + p * row_of_j());
      };
      if (at.vectors != nullptr) {
        for (Index c = 0; c < at.columns; ++c)
          if (const Index place = blocks[c].learning; place >= 0)
            rows([&](Index r, Index, const T* errors, T* row) {
              Embedding::learn_row(at.vectors[c], each.rows.level(r, int(c)), errors, row + place);
            });
      } else if (at.blocks() > 0) {
        if (const Index place = blocks[0].learning; place >= 0)
          with_kind(at.kind, [&](auto kind) {
            const RowList<T> inputs = each.rows.inputs_of(l);
            rows([&](Index r, Index p, const T* errors, T* row) {
              const T* const from = inputs != nullptr ? inputs[r] : each.rows.spread_out(l, r, room);
              kind.learn_row(at, from, errors, each.pairs().beside_of(l, p), row + place);
            });
          });
        if (const Index place = at.bias ? blocks[1].learning : -1; place >= 0)
          rows([&](Index, Index, const T* errors, T* row) {
            for (Index o = 0; o < at.outputs; ++o) row[place + o] = errors[o];
          });
      }
    }
  }

  // matrix (+)= J'J, its upper triangle, with c as the last column.
  void add_up(const T* jacobian, Index lines, bool adding, Team& team) {
    constexpr Index height = 24;  // whole vectors, and blocks of 6
    const Index strips = (n_ + height) / height;
    team.each(strips, alone_ || double(lines) * double(n_) * double(n_) < 1e6, [&](int, Index s) {
      const Index from = s * height, rows = smaller(height, n_ + 1 - from);
      const Matrix<T> to{matrix_.data() + from * stride_ + from, stride_};
      columns_times<T>(list_.data(), from, rows, lines, {jacobian + from, row_of_j()}, stride_ - from,
                       adding ? Start<T>{to.data, stride_} : Start<T>{}, to, false);
    });
  }

  void take_diagonal_of_wide() {
    for (Index i = 0; i < stride_; ++i) gradient_[i] = added_[i] = 0;
    for (Index p = 0; p < residuals_; ++p) {
      const T* const row = list_[p];
      for (Index i = 0; i < n_; ++i) {
        added_[i] += row[i] * row[i];
        gradient_[i] += row[i] * row[n_];
      }
    }
  }

  Measured finish(double loss, double decay) {
    double squares = 0, penalty = 0, steepest = 0;
    for (Index i = 0; i < n_; ++i) {
      const T diagonal = wide_ ? added_[i] : matrix_[i * stride_ + i];
      scaling_[i] = diagonal > scaling_[i] ? diagonal : scaling_[i];
      if (!wide_) gradient_[i] = matrix_[i * stride_ + n_];
      gradient_[i] += l2_[i] * point_[i];
      squares += double(point_[i]) * double(point_[i]);
      penalty += double(l2_[i]) * double(point_[i]) * double(point_[i]);
      const double slope = __builtin_fabs(double(gradient_[i]) + decay * double(point_[i]));
      steepest = slope > steepest ? slope : steepest;
    }
    return {loss + penalty / 2, squares, steepest};
  }

  void make_square(Index count) {
    const Index stride = round_up(count, width<T>);
    if (stride == square_stride_) return;
    square_ = Array<T>{count * stride};
    panel_ = Array<T>{rows_of_a_panel * stride};
    other_ = Array<T>{stride};
    square_stride_ = stride;
  }

  void copy_triangle() {
    for (Index i = 0; i < n_; ++i)
      for (Index j = i / width<T> * width<T>; j < n_; j += width<T>)
        store(square_.data() + i * square_stride_ + j, load(matrix_.data() + i * stride_ + j));
  }

  // step = -(J'J + diag(added))^-1 (gradient + decay * point)
  bool solve(double decay, Team& team) {
    make_square(n_);
    copy_triangle();
    for (Index i = 0; i < n_; ++i) square_[i * square_stride_ + i] += added_[i];
    if (!factor<T>({square_.data(), square_stride_}, n_, panel_.data(), team)) return false;
    for (Index i = 0; i < n_; ++i) step_[i] = -(gradient_[i] + T(decay) * point_[i]);
    const Matrix<const T> u{square_.data(), square_stride_};
    solve_lower<T>(u, n_, step_.data());
    solve_upper<T>(u, n_, step_.data());
    return true;
  }

  // square = J E^-1 J', with E the diagonal that is added, or 1; its upper triangle.
  void multiply_wide(bool scaled) {
    if (!scaled_) scaled_ = Array<T>{stride_};
    for (Index p = 0; p < residuals_; ++p) {
      const T* const row = list_[p];
      for (Index i = 0; i < stride_; ++i) scaled_[i] = i < n_ ? (scaled ? row[i] / added_[i] : row[i]) : T(0);
      for (Index q = p; q < residuals_; ++q) {
        Vec<T> sums{};
        for (Index i = 0; i < stride_; i += width<T>) sums += load(scaled_.data() + i) * load(list_[q] + i);
        square_[p * square_stride_ + q] = sum(sums);
      }
    }
  }

  // The same by the smaller matrix: with w the penalties' part of the gradient,
  // step = -E^-1 (J' (1 + J E^-1 J')^-1 (c - J E^-1 w) + w)
  bool solve_wide(double decay, Team& team) {
    const Index m = residuals_;
    make_square(m);
    multiply_wide(true);
    for (Index p = 0; p < m; ++p) square_[p * square_stride_ + p] += 1;
    if (!factor<T>({square_.data(), square_stride_}, m, panel_.data(), team)) return false;
    for (Index i = 0; i < n_; ++i) step_[i] = (l2_[i] + T(decay)) * point_[i];
    for (Index p = 0; p < m; ++p) {
      T inner = list_[p][n_];
      for (Index i = 0; i < n_; ++i) inner -= list_[p][i] * step_[i] / added_[i];
      other_[p] = inner;
    }
    const Matrix<const T> u{square_.data(), square_stride_};
    solve_lower<T>(u, m, other_.data());
    solve_upper<T>(u, m, other_.data());
    for (Index p = 0; p < m; ++p)
      for (Index i = 0; i < n_; ++i) step_[i] += other_[p] * list_[p][i];
    for (Index i = 0; i < n_; ++i) step_[i] = -step_[i] / added_[i];
    return true;
  }

  // The loss where the parameters are now, penalties included.
  double look(const Rows& rows, Team& team, const Interrupt& interrupt) {
    placed_.take(flat_);
    InterruptPoll poll{interrupt};
    const Index count = (rows.count + room_ - 1) / room_;
    losses_at_once(count);
    team.each(count, alone_, [&](int who, Index tile) {
      if (who == 0 ? poll.over() : poll.stopped()) return;
      const Index first = tile * room_, here = smaller(room_, rows.count - first);
      Workspace<T>& on = rooms_[who].rows;
      lay_out_rows(rows, first, here, on);
      on.forward(placed_.parameters(), here);
      losses_[tile] = double(on.measure(loss_, 0, here));
    });
    stopped_ = poll.stopped();
    double loss = 0, penalty = 0;
    for (Index tile = 0; tile < count; ++tile) loss += losses_[tile];
    each_parameter([&](Index i, T* at) { penalty += double(l2_[i]) * double(*at) * double(*at); });
    return loss + penalty / 2;
  }

  const Layout<T>& layout_;
  LossSpec loss_;
  RuleSpec rule_;
  T* flat_;  // the caller's parameters
  Placed<T> placed_;
  Array<Place> blocks_;
  Index lowest_;  // the first layer that learns
  Index n_ = 0;   // how many parameters learn

  bool joined_ = false;  // the loss, with the activation of the outputs
  bool stopped_ = false;  // the last call, by an interrupt
  bool alone_ = true;
  bool wide_ = false;  // fewer residuals than parameters
  double total_weight_ = 0;
  Index room_ = 0, rows_at_once_ = 0, residuals_ = 0, stride_ = 0;
  List<EachOutput<T>> rooms_;  // one a thread
  Array<T> inputs_;            // for each, a row of a layer's inputs where it does not lie as numbers
  Array<double> losses_;       // of tiles
  Index losses_room_ = 0;

  Array<T> jacobian_;  // rows of J, each with its residual behind it
  Array<const T*> list_;
  Index lines_ = 0;
  Array<T> matrix_;  // J'J with J'c behind it, its upper triangle
  Array<T> point_, scaling_, scaling_before_, l2_, added_, gradient_, step_;  // of the parameters that learn
  Array<T> square_, panel_, other_, scaled_;  // the matrix of a step and its factors; room beside it
  Index square_stride_ = 0;
};

template <class T>
nineline::Curvature* Layout<T>::bend(const LossSpec& loss, const RuleSpec& rule, const double* factors, void* flat) const {
  if constexpr (sizeof(T) == sizeof(double)) return new Curvature<T>{*this, loss, rule, factors, static_cast<T*>(flat)};
  else return nullptr;
}

}  // namespace nineline::NINELINE_LEVEL

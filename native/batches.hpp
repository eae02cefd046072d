// Batches: which rows one is, how it is cut into parts for threads, and how its rows are laid out for their passage.
//
// Twin: the first lines of Reference.measure in src/nineline/engines/reference.py.
#pragma once

#include "network.hpp"
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

inline constexpr Index most_parts = 16;

inline Cut cut(Index rows, double work_of_a_row) {
  constexpr double least_work = 500e3;  // multiplications and additions: some ten microseconds
  constexpr Index least_rows = 24;
  Index parts = smaller(smaller(rows / least_rows, most_parts), Index(double(rows) * work_of_a_row / least_work));
  parts = larger(parts, 1);
  const Index rows_of_a_part = round_up((rows + parts - 1) / parts, 16);  // so that no two parts share a vector
  return {rows, (rows + rows_of_a_part - 1) / rows_of_a_part, rows_of_a_part};
}

// Rows of the data in some order; all of them, as they lie, where there is none.
template <class T>
struct Batch {
  const Data& data;
  const Index* order;
  Index rows;

  // That of step i.
  static Batch of(const Data& data, const Steps& steps, Index i) {
    if (steps.order == nullptr) return {data, nullptr, data.rows};
    const Index begin = i * steps.batch_size;
    return {data, steps.order + begin, smaller(steps.batch_size, steps.order_size - begin)};
  }

  bool shuffled() const { return order != nullptr; }
  Index row(Index r) const { return order == nullptr ? r : order[r]; }
  double weight(Index r) const { return double(static_cast<const T*>(data.weights)[row(r)]); }
  double total_weight() const {
    if (data.weights == nullptr) return double(rows);
    double total = 0;
    for (Index r = 0; r < rows; ++r) total += weight(r);
    return total;
  }
};

// Asks for the data of some rows, which lie anywhere in memory, while there is something else to compute.
template <class T>
inline void call_for(const Network<T>& network, const Batch<T>& batch, Index first, Index end) {
  constexpr Index line = 64;
  const auto call = [](const void* from, Index numbers) {
    const char* begin = static_cast<const char*>(from);
    const char* end = begin + numbers * Index(sizeof(T));
    for (const char* at = begin - reinterpret_cast<std::uintptr_t>(begin) % line; at < end; at += line)
      __builtin_prefetch(at, 0, 2);
  };
  for (Index r = first; r < smaller(end, batch.rows); ++r) {
    call(static_cast<const T*>(batch.data.inputs) + batch.row(r) * network.inputs(), network.inputs());
    call(static_cast<const T*>(batch.data.targets) + batch.row(r) * network.outputs(), network.outputs());
  }
}

// Lists rows of a batch where they lie, and lays their targets and what each row counts beside the outputs to come.
template <class T>
inline void lay_out(const Network<T>& network, const Batch<T>& batch, Index first, Index rows, double total_weight,
                    bool mean, Passage<T>& passage) {
  const bool all = !batch.shuffled() && rows == batch.rows;
  if (all && passage.holds == batch.data.inputs) return;  // all rows again
  passage.holds = all ? batch.data.inputs : nullptr;
  const Index n = network.inputs(), m = network.outputs(), stride = network.last().stride;
  const T *inputs = static_cast<const T*>(batch.data.inputs), *targets = static_cast<const T*>(batch.data.targets);
  for (Index r = 0; r < rows; ++r) {
    const Index row = batch.row(first + r);
    passage.inputs[r] = inputs + row * n;
    for (Index o = 0; o < m; ++o) passage.targets[r * stride + o] = targets[row * m + o];
  }
  const double share = !mean ? 1 : total_weight > 0 ? 1 / total_weight : 0;
  const bool alike = batch.data.weights == nullptr;
  if (alike && passage.rows_with_factors == rows && passage.same_factor == T(share)) return;
  passage.rows_with_factors = alike ? rows : 0;
  passage.same_factor = T(share);
  for (Index r = 0; r < rows; ++r) {
    const T factor = T(alike ? share : share * batch.weight(first + r));
    for (Index o = 0; o < m; ++o) passage.factors[r * stride + o] = factor;
  }
  for (Index i = rows * stride; i < smaller(round_up(rows * stride, width<T>), passage.room() * stride); ++i)
    passage.factors[i] = 0;  // packed rows may end inside a vector
}

}  // namespace nineline::NINELINE_LEVEL

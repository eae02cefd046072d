// Batches: which rows one is, how it is parted for threads, and how its rows are laid out in a workspace.
//
// Twins: the first lines of Reference._measure in src/nineline/engines/reference.py, Rows.spread in src/nineline/rows.py.
#pragma once

#include "threads.hpp"
#include "workspace.hpp"

namespace nineline::NINELINE_LEVEL {

// Stops the work of a call some time after somebody asked for it: the caller looks up after 50 ms.
class InterruptPoll {
 public:
  explicit InterruptPoll(const Interrupt& interrupt) : interrupt_{interrupt} {}
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
  void stop() { __atomic_store_n(&stopped_, true, __ATOMIC_RELAXED); }
  bool stopped() const { return __atomic_load_n(&stopped_, __ATOMIC_RELAXED); }

 private:
  Interrupt interrupt_;
  unsigned calls_ = 0;
  double next_ = 0;
  bool stopped_ = false;
};

// Rows in parts that are about even. A part begins at a multiple of 16, so that no two share a vector.
struct Partition {
  Index rows, parts;
  Index begin(Index part) const { return part == parts ? rows : (2 * part * rows / parts + 16) / 32 * 16; }
  Index end(Index part) const { return begin(part + 1); }
};

inline constexpr Index most_parts = 16;

// As many as are worth a thread's while: a power of two, of which two threads or four have even shares.
inline Partition partition(Index rows, double work_of_a_row) {
  constexpr double least_work = 500e3;  // multiplications and additions: some ten microseconds
  constexpr Index least_rows = 24;
  Index parts = 1;
  while (parts < most_parts && 2 * parts * least_rows <= rows && 2 * double(parts) * least_work <= double(rows) * work_of_a_row)
    parts *= 2;
  return {rows, parts};
}

// How many rows each of about even tiles has, which have so many at most.
inline Index rows_of_a_tile(Index rows, Index most) {
  const Index count = larger((rows + most - 1) / most, 1);
  return smaller(most, round_up((rows + count - 1) / count, 32));
}

// Calls work(first, rows) for the tiles of some rows.
template <class Work>
inline void tiles(Index begin, Index end, Index most, int who, InterruptPoll& poll, const Work& work) {
  const Index rows = rows_of_a_tile(end - begin, most);
  for (Index first = begin; first < end; first += rows) {
    if (who == 0 ? poll.over() : poll.stopped()) return;
    work(first, smaller(rows, end - first));
  }
}

// Rows of the data in some order; all of them, as they lie, where there is none.
template <class T>
struct Batch {
  const Rows& data;
  const Index* order;
  Index rows;

  // That of step i.
  static Batch of(const Rows& data, const Steps& steps, Index i) {
    if (steps.order == nullptr) return {data, nullptr, data.count};
    if (steps.batch_size == 0) return {data, steps.order, steps.order_size};
    const Index begin = i * steps.batch_size;
    Index rows = smaller(steps.batch_size, steps.order_size - begin);
    while (steps.others != nullptr && rows > 0 && steps.order[begin + rows - 1] < 0) --rows;
    return {data, steps.order + begin, rows};
  }

  bool shuffled() const { return order != nullptr; }
  bool sparse() const { return data.begins != nullptr; }
  bool compact() const { return data.encoding != nullptr; }
  Index row(Index r) const { return order == nullptr ? r : order[r]; }
  double weight(Index r) const { return double(static_cast<const T*>(data.weights)[row(r)]); }
  double total_weight() const {
    if (data.weights == nullptr) return double(rows);
    double total = 0;
    for (Index r = 0; r < rows; ++r) total += weight(r);
    return total;
  }
};

template <class T>
inline SparseRow<T> sparse_row(const Rows& data, Index row) {
  const Index begin = Index(data.begins[row]);
  return {static_cast<const T*>(data.inputs) + begin, data.columns + begin, Index(data.begins[row + 1]) - begin};
}

// Asks for the data of some rows, which lie anywhere in memory, while there is something else to compute.
template <class T>
inline void call_for(const Layout<T>& layout, const Batch<T>& batch, Index first, Index end) {
  constexpr Index line = 64;
  const auto call = [](const void* from, Index bytes) {
    const char* begin = static_cast<const char*>(from);
    const char* end = begin + bytes;
    for (const char* at = begin - reinterpret_cast<std::uintptr_t>(begin) % line; at < end; at += line)
      __builtin_prefetch(at, 0, 2);
  };
  const Index n = layout.inputs(), m = layout.outputs(), size = sizeof(T);
  for (Index r = first; r < smaller(end, batch.rows); ++r) {
    const Index row = batch.row(r);
    if (batch.sparse()) {
      const SparseRow<T> entries = sparse_row<T>(batch.data, row);
      call(entries.values, entries.count * size);
      call(entries.columns, entries.count * Index(sizeof(std::int32_t)));
    } else if (batch.compact()) {
      const Encoding& encoding = *batch.data.encoding;
      const Index bytes = encoding.numbers * batch.data.number_bytes();
      call(static_cast<const char*>(batch.data.numbers) + row * bytes, bytes);
      call(batch.data.levels + row * encoding.levels, encoding.levels * Index(sizeof(std::int32_t)));
    } else {
      call(static_cast<const T*>(batch.data.inputs) + row * n, n * size);
    }
    if (batch.data.classes != nullptr) call(batch.data.classes + row, sizeof(std::int64_t));
    else call(static_cast<const T*>(batch.data.targets) + row * m, m * size);
  }
}

// Compact rows of a batch as entries of the dense layer that reads them, or spread out. `vectors` are the parameters of
// an embedding in front of it, `sums` the running sums of its weights, where they are used.
template <class T>
inline void list_compact(const Layout<T>& layout, const Batch<T>& batch, Index first, Index rows, const T* vectors,
                         const T* sums, Workspace<T>& to) {
  const Encoding& encoding = *batch.data.encoding;
  to.is_sparse = layout.reader() >= 0;
  to.sums = sums;
  if (!to.levels) to.levels = Array<const std::int32_t*>{to.room()};
  to.entries.take(encoding, layout.layer(0), to.room(), to.is_sparse);
  for (Index r = 0; r < rows; ++r) {
    const Index row = batch.row(first + r);
    const char* const all = static_cast<const char*>(batch.data.numbers);
    const Numbers numbers{all + row * encoding.numbers * batch.data.number_bytes(), batch.data.double_numbers};
    const std::int32_t* const levels = batch.data.levels + row * encoding.levels;
    to.levels[r] = levels;
    if (to.is_sparse) to.sparse[r] = to.entries.list(r, numbers, levels, vectors, sums != nullptr);
    else to.inputs[r] = to.entries.spread(r, numbers, levels);
  }
}

// Lists rows of a batch where they lie.
template <class T>
inline void list_inputs(const Layout<T>& layout, const Batch<T>& batch, Index first, Index rows, const T* vectors,
                        const T* sums, Workspace<T>& to) {
  to.is_compact = batch.compact();
  if (to.is_compact) return list_compact(layout, batch, first, rows, vectors, sums, to);
  to.is_sparse = batch.sparse();
  const T* const inputs = static_cast<const T*>(batch.data.inputs);
  if (to.is_sparse)
    for (Index r = 0; r < rows; ++r) to.sparse[r] = sparse_row<T>(batch.data, batch.row(first + r));
  else
    for (Index r = 0; r < rows; ++r) to.inputs[r] = inputs + batch.row(first + r) * layout.inputs();
}

// And lays their targets and what each row counts beside the outputs to come. True where they were not there already.
template <class T>
inline bool lay_out(const Layout<T>& layout, const Batch<T>& batch, Index first, Index rows, double total_weight,
                    bool mean, const T* vectors, const T* sums, Workspace<T>& to) {
  const bool all = !batch.shuffled() && rows == batch.rows;
  if (all && to.holds_all) return false;  // all rows again
  to.holds_all = all && (vectors == nullptr || !batch.compact());  // vectors that have moved are listed anew
  list_inputs(layout, batch, first, rows, vectors, sums, to);
  const Index m = layout.outputs(), stride = layout.last().stride;
  if (batch.data.classes != nullptr) {
    for (Index r = 0; r < rows; ++r) {
      const Index one = Index(batch.data.classes[batch.row(first + r)]);
      for (Index o = 0; o < m; ++o) to.targets[r * stride + o] = o == one ? T(1) : T(0);
    }
  } else {
    const T* const targets = static_cast<const T*>(batch.data.targets);
    for (Index r = 0; r < rows; ++r)
      copy_row(targets + batch.row(first + r) * m, m, to.targets.data() + r * stride);
  }
  const double share = !mean ? 1 : total_weight > 0 ? 1 / total_weight : 0;
  const bool alike = batch.data.weights == nullptr;
  if (alike && to.rows_with_factors == rows && to.same_factor == T(share)) return true;
  to.rows_with_factors = alike ? rows : 0;
  to.same_factor = T(share);
  for (Index r = 0; r < rows; ++r) {
    const T factor = T(alike ? share : share * batch.weight(first + r));
    for (Index o = 0; o < m; ++o) to.factors[r * stride + o] = factor;
  }
  for (Index i = rows * stride; i < smaller(round_up(rows * stride, width<T>), to.room() * stride); ++i)
    to.factors[i] = 0;  // packed rows may end inside a vector
  return true;
}

// Whether the rows of a call are dense and mostly zeros.
template <class T>
inline bool is_mostly_zeros(const Layout<T>& layout, const Rows& rows) {
  if (rows.encoding != nullptr) return true;  // where they are spread out at all
  return rows.begins == nullptr && is_mostly_zeros(static_cast<const T*>(rows.inputs), rows.count, layout.inputs());
}

// Workspaces for tiles of parts, one for each thread that may take one; made anew when more threads come, or more rows.
template <class T>
inline void make_workspaces(const Layout<T>& layout, const Partition& parts, int threads, Purpose purpose,
                            List<Workspace<T>>& workspaces) {
  const Index count = parts.parts == 1 ? 1 : threads;
  constexpr Index little = Index(1) << 20;  // bytes: then there is room for any tile at once
  Index room = layout.tile_rows();
  if (room * layout.bytes_of_a_row() > little) room = smaller(room, round_up(parts.rows / parts.parts + 16, 32));
  if (count <= workspaces.size() && room <= workspaces[0].room()) return;
  workspaces = List<Workspace<T>>{};  // before there are others
  workspaces = List<Workspace<T>>{count, layout, room, purpose};
}

}  // namespace nineline::NINELINE_LEVEL

// Answering: rows through the network as it runs, tile by tile.
//
// Twin: Network.forward in src/nineline/network.py.
#pragma once

#include "batches.hpp"
#include "placed.hpp"

namespace nineline::NINELINE_LEVEL {

template <class T>
class Runner final : public nineline::Runner {
 public:
  explicit Runner(const Layout<T>& layout) : layout_{layout}, placed_{layout, false} {}

  void run(const void* parameters, const Rows& rows, void* outputs, Team& team, const Interrupt& interrupt) override {
    const Partition parts = partition(rows.count, layout_.work_of_a_row());
    make_workspaces(layout_, parts, team.threads(), Purpose::answering, workspaces_);
    placed_.take(static_cast<const T*>(parameters));
    const bool zeros = is_mostly_zeros(layout_, rows);
    const Batch<T> batch{rows, nullptr, rows.count};
    const Index m = layout_.outputs(), stride = layout_.last().stride;
    InterruptPoll poll{interrupt};
    team.each(parts.parts, false, [&](int who, Index part) {
      Workspace<T>& workspace = workspaces_[who];
      workspace.mostly_zeros = zeros;
      tiles(parts.begin(part), parts.end(part), layout_.tile_rows(), who, poll, [&](Index first, Index count) {
        list_inputs(layout_, batch, first, count, placed_[0], static_cast<const T*>(nullptr), workspace);
        workspace.forward(placed_.parameters(), count);
        T* const to = static_cast<T*>(outputs) + first * m;
        for (Index r = 0; r < count; ++r) __builtin_memcpy(to + r * m, workspace.answers() + r * stride, m * sizeof(T));
      });
    });
  }

  bool worth_keeping() const override {
    constexpr Index most = Index(1) << 26;
    return workspaces_.size() == 0 || workspaces_.size() * workspaces_[0].room() * layout_.bytes_of_a_row() <= most;
  }

 private:
  const Layout<T>& layout_;
  Placed<T> placed_;
  List<Workspace<T>> workspaces_;  // of tiles, one a thread
};

template <class T>
nineline::Runner* Layout<T>::run() const {
  return new Runner<T>{*this};
}

}  // namespace nineline::NINELINE_LEVEL

#include "threads.hpp"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace nineline {

namespace {

constexpr int looks = 4000;  // before going to sleep: some tens of microseconds

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// A job and how far it is, in one word: its number, how many pieces it has, and the next piece to be taken. Whoever
// takes a piece by exchanging the word knows that the job it belongs to is the current one.
struct Ticket {
  static constexpr int bits = 20;
  static constexpr std::uint64_t mask = (std::uint64_t{1} << bits) - 1;
  static std::uint64_t make(std::uint64_t number, Index count) { return number << 2 * bits | std::uint64_t(count) << bits; }
  static Index count(std::uint64_t ticket) { return Index(ticket >> bits & mask); }
  static Index next(std::uint64_t ticket) { return Index(ticket & mask); }
  static std::uint64_t number(std::uint64_t ticket) { return ticket >> 2 * bits; }
};

}  // namespace

struct Team::Shared {
  alignas(64) std::atomic<std::uint64_t> ticket{0};
  alignas(64) std::atomic<Index> done{0};
  std::atomic<bool> over{false};
  void (*work)(void*, int, Index) = nullptr;
  void* context = nullptr;
  std::vector<std::thread> helpers;

  // Takes pieces of the current job until none is left.
  void take_pieces(int worker) {
    std::uint64_t ticket_now = ticket.load(std::memory_order_acquire);
    while (Ticket::next(ticket_now) < Ticket::count(ticket_now)) {
      if (!ticket.compare_exchange_weak(ticket_now, ticket_now + 1, std::memory_order_acq_rel)) continue;
      work(context, worker, Ticket::next(ticket_now));
      if (done.fetch_add(1, std::memory_order_acq_rel) + 1 == Ticket::count(ticket_now)) done.notify_all();
      ticket_now = ticket.load(std::memory_order_acquire);
    }
  }

  void help(int worker) {
    while (!over.load(std::memory_order_acquire)) {
      take_pieces(worker);
      const std::uint64_t seen = ticket.load(std::memory_order_acquire);
      if (Ticket::next(seen) < Ticket::count(seen)) continue;
      int look = 0;
      while (look < looks && ticket.load(std::memory_order_acquire) == seen) ++look, pause();
      if (look == looks) ticket.wait(seen, std::memory_order_acquire);
    }
  }
};

Team::Team(int threads) : threads_{threads} {}

Team::~Team() {
  if (!shared_) return;
  shared_->over.store(true, std::memory_order_release);
  const std::uint64_t now = shared_->ticket.load(std::memory_order_relaxed);
  shared_->ticket.store(Ticket::make(Ticket::number(now) + 1, 0), std::memory_order_release);
  shared_->ticket.notify_all();
  for (std::thread& helper : shared_->helpers) helper.join();
}

void Team::share(Index count, void (*work)(void*, int, Index), void* context) {
  if (!shared_) {
    shared_ = std::make_unique<Shared>();
    for (int worker = 1; worker < threads_; ++worker) {
      try {
        shared_->helpers.emplace_back([shared = shared_.get(), worker] { shared->help(worker); });
      } catch (const std::system_error&) {
        break;  // the machine gives no more threads: those there are do the work
      }
    }
  }
  Shared& shared = *shared_;
  shared.work = work;
  shared.context = context;
  shared.done.store(0, std::memory_order_relaxed);
  const std::uint64_t before = shared.ticket.load(std::memory_order_relaxed);
  shared.ticket.store(Ticket::make(Ticket::number(before) + 1, count), std::memory_order_release);
  shared.ticket.notify_all();
  shared.take_pieces(0);
  int look = 0;
  for (Index done; (done = shared.done.load(std::memory_order_acquire)) < count;) {
    if (++look < looks) pause();
    else shared.done.wait(done, std::memory_order_acquire);
  }
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Pace::step_done() {
  const double now = seconds();
  if (began_ == 0) {  // the first step wakes threads and caches
    began_ = now;
    return;
  }
  ++steps_;
  const double elapsed = now - began_;
  if (phase_ < 2) {
    if (elapsed < trial) return;
    pace_[phase_] = elapsed / steps_;
    ++phase_;
    alone_ = phase_ == 1 || pace_[1] < pace_[0];
    if (pace_[0] > 10 * trial) alone_ = false, phase_ = 2;  // long steps: helpers take what they can
  } else {
    if (elapsed < trials_between * trial) return;
    phase_ = 0;
    alone_ = false;
  }
  steps_ = 0;
  began_ = now;
}

}  // namespace nineline

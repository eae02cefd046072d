#include "threads.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nineline {

namespace {

constexpr int looks = 4000;  // before going to sleep: some tens of microseconds

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");  // "yield" takes no time on most of them
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
  std::atomic<int> sleeping{0};  // threads that have to be woken when the ticket changes or all is done
  std::atomic<bool> over{false};
  std::mutex mutex;
  std::condition_variable changed;
  void (*work)(void*, int, Index) = nullptr;
  void* context = nullptr;
  std::vector<std::thread> helpers;

  // Looks for a moment whether something has come true, then sleeps until it has. Who makes it true calls wake() after;
  // since a sleeper counts itself before its last look, one of the two sees the other.
  template <class Condition>
  void wait_until(Condition condition) {
    for (int look = 0; look < looks; ++look, pause())
      if (condition()) return;
    sleeping.fetch_add(1);
    {
      std::unique_lock<std::mutex> lock{mutex};
      changed.wait(lock, condition);
    }
    sleeping.fetch_sub(1);
  }

  void wake() {
    if (sleeping.load() == 0) return;
    { const std::lock_guard<std::mutex> lock{mutex}; }
    changed.notify_all();
  }

  void publish(Index count) {
    const std::uint64_t before = ticket.load(std::memory_order_relaxed);
    ticket.store(Ticket::make(Ticket::number(before) + 1, count));
    wake();
  }

  // Takes pieces of the current job until none is left.
  void take_pieces(int worker) {
    std::uint64_t now = ticket.load(std::memory_order_acquire);
    while (Ticket::next(now) < Ticket::count(now)) {
      if (!ticket.compare_exchange_weak(now, now + 1)) continue;
      work(context, worker, Ticket::next(now));
      if (done.fetch_add(1) + 1 == Ticket::count(now)) wake();
      now = ticket.load(std::memory_order_acquire);
    }
  }

  void help(int worker, Denormals denormals) {
    const DenormalsHere here{denormals};
    while (!over.load()) {
      take_pieces(worker);
      wait_until([&] {
        const std::uint64_t now = ticket.load();
        return Ticket::next(now) < Ticket::count(now) || over.load();
      });
    }
  }
};

Team::Team(int threads, Denormals denormals) : threads_{threads}, here_{denormals} {}

Team::~Team() {
  if (!shared_) return;
  shared_->over.store(true);
  shared_->wake();
  for (std::thread& helper : shared_->helpers) helper.join();
}

void Team::share(Index count, void (*work)(void*, int, Index), void* context) {
  if (!shared_) {
    shared_ = std::make_unique<Shared>();
    for (int worker = 1; worker < threads_; ++worker) {
      try {
        shared_->helpers.emplace_back([shared = shared_.get(), worker, here = here_.wanted()] { shared->help(worker, here); });
      } catch (const std::system_error&) {
        break;  // the machine gives no more threads: those there are do the work
      }
    }
  }
  Shared& shared = *shared_;
  shared.work = work;
  shared.context = context;
  shared.done.store(0);
  shared.publish(count);
  shared.take_pieces(0);
  shared.wait_until([&] { return shared.done.load() == count; });
}

#if defined(__x86_64__)

DenormalsHere::DenormalsHere(Denormals wanted) : wanted_{wanted}, before_{_mm_getcsr()} {
  constexpr unsigned flush_results = 1u << 15, take_for_zero = 1u << 6;
  const unsigned both = flush_results | take_for_zero, rest = unsigned(before_) & ~both;
  _mm_setcsr(wanted == Denormals::zeros ? rest | both : rest);
}
DenormalsHere::~DenormalsHere() { _mm_setcsr(unsigned(before_)); }

#elif defined(__aarch64__)

DenormalsHere::DenormalsHere(Denormals wanted) : wanted_{wanted} {
  constexpr std::uint64_t flush = std::uint64_t{1} << 24;
  asm volatile("mrs %0, fpcr" : "=r"(before_));
  asm volatile("msr fpcr, %0" : : "r"(wanted == Denormals::zeros ? before_ | flush : before_ & ~flush));
}
DenormalsHere::~DenormalsHere() { asm volatile("msr fpcr, %0" : : "r"(before_)); }

#else

DenormalsHere::DenormalsHere(Denormals wanted) : wanted_{wanted}, before_{0} {}
DenormalsHere::~DenormalsHere() = default;

#endif

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void TeamTuner::step_done() {
  const double now = seconds();
  if (steps_ < 0) {  // the first step after a change wakes threads and caches
    steps_ = 0;
    began_ = now;
    return;
  }
  ++steps_;
  const double elapsed = now - began_;
  if (phase_ == Phase::going_on) {
    if (elapsed < between_ * trial) return;
    begin(Phase::team, false);
    return;
  }
  if (elapsed < trial || steps_ < least_steps) return;
  const double seconds_of_step = elapsed / steps_;
  if (phase_ == Phase::team && seconds_of_step < 10 * trial) {
    seconds_of_team_ = seconds_of_step;
    begin(Phase::alone, true);
    return;
  }
  const bool alone = phase_ == Phase::alone && seconds_of_step < seconds_of_team_;  // in long steps helpers take what they can
  between_ = alone != best_alone_ ? trials_between : between_ < most_between ? 2 * between_ : between_;
  best_alone_ = alone;
  begin(Phase::going_on, alone);
}

void TeamTuner::begin(Phase phase, bool alone) {
  steps_ = alone != alone_ ? -1 : 0;
  began_ = seconds();
  phase_ = phase;
  alone_ = alone;
}

}  // namespace nineline

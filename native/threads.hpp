// A team of threads that share the work of one call and are gone after it.
//
// Who calls works too, so nothing waits for a thread that the machine has no core for, except for the piece it has
// already begun. Helpers wait for the next piece by looking for a moment, then sleep: a core that another program
// needs is given up. Since a team lives no longer than a call, a program may fork between calls.
#pragma once

#include <cstdint>
#include <memory>

#include "specs.hpp"

namespace nineline {

// Numbers below the smallest normal one. Kept, they slow a processor down a hundredfold wherever they turn up, and in
// training they do, for good: the running mean of a parameter that no longer learns shrinks until 0.9 times it rounds
// to itself. So training takes them for zeros.
enum class Denormals { kept, zeros };

// How this thread takes them, until the end of the scope.
class DenormalsHere {
 public:
  explicit DenormalsHere(Denormals wanted);
  ~DenormalsHere();
  DenormalsHere(const DenormalsHere&) = delete;
  DenormalsHere& operator=(const DenormalsHere&) = delete;
  Denormals wanted() const { return wanted_; }

 private:
  Denormals wanted_;
  std::uint64_t before_;
};

class Team {
 public:
  explicit Team(int threads, Denormals denormals = Denormals::kept);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int threads() const { return threads_; }
  Denormals denormals() const { return here_.wanted(); }

  // Calls work(worker, i) for every i below count, each once, and returns when all are done. Worker 0 is the caller;
  // with `alone` nobody else takes part.
  template <class Work>
  void each(Index count, bool alone, Work work) {
    if (alone || count == 1 || threads_ == 1) {
      for (Index i = 0; i < count; ++i) work(0, i);
    } else {
      share(count, [](void* given, int worker, Index i) { (*static_cast<Work*>(given))(worker, i); }, &work);
    }
  }

 private:
  struct Shared;
  void share(Index count, void (*work)(void*, int, Index), void* context);

  int threads_;
  DenormalsHere here_;
  std::unique_ptr<Shared> shared_;
};

// Seconds on a clock that never goes back.
double seconds();

// Whether a step is done faster alone or by the team: tries both now and then, for a team costs some microseconds a
// step, and a core that another program is using is no help. While the answer stays the same it tries less and less
// often. The results are the same bits either way.
class TeamTuner {
 public:
  bool alone() const { return alone_; }
  // To be called after every step.
  void step_done();

 private:
  enum class Phase { team, alone, going_on };  // trying the one, then the other, then going on with the better
  void begin(Phase phase, bool alone);

  static constexpr double trial = 200e-6;  // seconds, and at least
  static constexpr int least_steps = 3;
  static constexpr int trials_between = 40, most_between = 2560;  // half a second
  Phase phase_ = Phase::team;
  bool alone_ = false, best_alone_ = false;
  int between_ = trials_between;
  int steps_ = -1;
  double began_ = 0, seconds_of_team_ = 0;
};

}  // namespace nineline

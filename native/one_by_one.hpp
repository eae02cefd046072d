// Networks of one shape that are trained one by one, each by one thread: those that are too large, or too few, to lie in
// the lanes of vectors, or have layers that do not.
//
// A thread has one Training, which goes from network to network, so memory does not grow with their number. The twin of
// LanesTraining in lanes_training.hpp. Knows no instruction set.
#pragma once

#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels.hpp"
#include "threads.hpp"

namespace nineline {

class OneByOne final : public Many {
 public:
  // `number_bytes` are those of a parameter, `parameters` how many a network has; `fixed` says that a Training cannot go
  // from one to another, as one of an embedding cannot.
  OneByOne(const Layout& layout, const LossSpec& loss, const RuleSpec& rule, std::vector<double> factors,
           std::size_t number_bytes, Index parameters, Index outputs, bool fixed)
      : layout_{layout}, loss_{loss}, rule_{rule}, factors_{std::move(factors)}, bytes_{number_bytes * std::size_t(parameters)},
        bytes_of_a_row_{number_bytes * std::size_t(outputs)}, fixed_{fixed} {}

  void steps(const Rows& rows, const Members& members, const ManySteps& steps, double* losses, Index* done, Team& team,
             const Interrupt& interrupt) override {
    each(members, team, interrupt, [&](int who, Index i, Team& alone, const Interrupt& ask) {
      const Index network = members.which[i];
      Training& training = taken(who, members, network);
      void* const parameters = row(members.parameters, network);
      void* const before = row(members.before, network);
      const void* remembered[most_moments];
      void* moments[most_moments];
      for (int m = 0; m < training.moments(); ++m) remembered[m] = moments[m] = row(members.moments[m], network);
      training.write(remembered, before, members.steps_taken[network]);
      std::vector<double> rates(steps.factors, steps.factors + steps.count);
      for (double& rate : rates) rate *= members.rates[network];
      const Steps mine = of_member(steps, i, rates.data());
      const Index count = done[i] = training.steps(rows, mine, losses + i * steps.losses_stride, alone, ask);
      for (Index s = count; s < steps.count; ++s) losses[i * steps.losses_stride + s] = std::nan("");
      training.before(before);
      training.read(moments);
      members.steps_taken[network] = training.steps_taken;
      if (count == 0 || std::isfinite(losses[i * steps.losses_stride + count - 1])) return;
      std::memcpy(parameters, before, bytes_);  // the last step led there
    });
  }

  // These two on all rows alone.
  void evaluate(const Rows& rows, const Members& members, const ManySteps&, double* losses, Team& team,
                const Interrupt& interrupt) override {
    each(members, team, interrupt, [&](int who, Index i, Team& alone, const Interrupt& ask) {
      losses[i] = taken(who, members, members.which[i]).evaluate(rows, alone, ask);
    });
  }

  void run(const Rows& rows, const Members& members, const ManySteps&, void* outputs, Team& team,
           const Interrupt& interrupt) override {
    std::vector<std::unique_ptr<Runner>> runners(std::size_t(team.threads()));
    each(members, team, interrupt, [&](int who, Index i, Team& alone, const Interrupt& ask) {
      std::unique_ptr<Runner>& runner = runners[std::size_t(who)];
      if (!runner) runner.reset(layout_.run());
      char* const to = static_cast<char*>(outputs) + std::size_t(i * rows.count) * bytes_of_a_row_;
      runner->run(row(members.parameters, members.which[i]), rows, to, alone, ask);
    });
  }

 private:
  // One thread's Training, and the penalties that it was made with.
  struct Own {
    std::unique_ptr<Training> training;
    double l1 = 0, l2 = 0;
  };

  // Every thread takes one network after another. Only the caller's thread asks whether to stop; the others are told.
  template <class Work>
  void each(const Members& members, Team& team, const Interrupt& interrupt, const Work& work) {
    Asked asked{interrupt};
    const Interrupt by_caller{[](void* context) { return static_cast<Asked*>(context)->ask(); }, &asked};
    const Interrupt by_others{[](void* context) { return static_cast<Asked*>(context)->is_over(); }, &asked};
    if (own_.size() < std::size_t(team.threads())) own_.resize(std::size_t(team.threads()));
    team.each(members.count, false, [&](int who, Index i) {
      if (asked.is_over()) return;
      Team alone{1, team.denormals()};
      work(who, i, alone, who == 0 ? by_caller : by_others);
    });
  }
  struct Asked {
    const Interrupt& caller;
    bool over = false;
    bool is_over() const { return __atomic_load_n(&over, __ATOMIC_RELAXED); }
    bool ask() {
      if (caller.asked != nullptr && caller.asked(caller.context)) __atomic_store_n(&over, true, __ATOMIC_RELAXED);
      return is_over();
    }
  };

  Training& taken(int who, const Members& members, Index network) {
    Own& own = own_[std::size_t(who)];
    const double l1 = members.l1 == nullptr ? 0 : members.l1[network], l2 = members.l2 == nullptr ? 0 : members.l2[network];
    void* const parameters = row(members.parameters, network);
    if (!own.training || fixed_ || own.l1 != l1 || own.l2 != l2) {
      RuleSpec rule = rule_;
      rule.l1 = own.l1 = l1, rule.l2 = own.l2 = l2;
      own.training.reset(layout_.train(loss_, rule, factors_.data(), parameters));
    } else {
      own.training->attach(parameters);
    }
    if (members.seeds != nullptr) own.training->seed = members.seeds[network];
    return *own.training;
  }

  void* row(void* vectors, Index network) const { return static_cast<char*>(vectors) + std::size_t(network) * bytes_; }

  static Steps of_member(const ManySteps& steps, Index member, const double* rates) {
    Steps mine;
    const Index begin = steps.begins == nullptr ? 0 : steps.begins[member];
    mine.order = steps.order == nullptr ? nullptr : steps.order + begin;
    mine.order_size = (steps.begins == nullptr ? steps.order_size : steps.begins[member + 1]) - begin;
    mine.batch_size = steps.batch_size;
    mine.rates = rates;
    mine.count = steps.count;
    return mine;
  }

  const Layout& layout_;
  LossSpec loss_;
  RuleSpec rule_;
  std::vector<double> factors_;
  std::size_t bytes_, bytes_of_a_row_;
  bool fixed_;
  std::vector<Own> own_;  // of each thread
};

}  // namespace nineline

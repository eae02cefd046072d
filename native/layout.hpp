// A network: layers over one padded vector of parameters, and the pieces that this vector is moved in.
//
// Twin: Network in src/nineline/network.py.
#pragma once

#include "kernels.hpp"
#include "layers.hpp"
#include "losses.hpp"

namespace nineline::NINELINE_LEVEL {

// A piece of the parameters: a block of a layer's weights, and perhaps the bias beside it.
struct Piece {
  Index layer;
  Block block;
  bool weights, bias;
};

template <class T>
class Layout final : public nineline::Layout {
 public:
  Layout(const LayerSpec* specs, Index count) : layers_{count}, count_{count} {
    Index stride = specs[0].inputs;
    bool padded = false;  // what a layer reads; the data are not, and when the network runs dropout passes them on
    bool learned = false;
    for (Index l = 0; l < count; ++l) {
      Layer at;
      static_cast<LayerSpec&>(at) = specs[l];
      at.input_stride = stride;
      if (at.dense) {
        at.input_is_packed = !padded;
        at.turned = padded && at.outputs * (at.input_stride / width<T> + 3) <= at.inputs;
        at.stride = at.turned ? at.outputs : round_up(at.outputs, width<T>);
        at.has_turned_copy = learned && !at.turned && !at.input_is_packed;
        at.turned_place = turned_size_;
        turned_size_ += at.has_turned_copy ? at.outputs * at.input_stride : 0;
        at.flat = flat_size_;
        at.place = size_;
        at.weights = at.rows_of_weights() * at.stride_of_weights();
        at.size = at.weights + (at.bias ? round_up(at.outputs, width<T>) : 0);
        flat_size_ += at.flat_size();
        size_ += round_up(at.size, width<T>);
        work_ += double(at.inputs) * double(at.stride) * (learned ? 3 : 2) + 40 * double(at.stride);
        learned = true;
        padded = !at.turned;
      } else {
        at.stride = l == 0 ? round_up(at.inputs, width<T>) : stride;
      }
      // of the last layer a loss may want them, whichever comes
      at.keeps_z = at.dense && (needs_z(at.activation) || (l == count - 1 && any_joins(Losses{}, at.activation)));
      stride = at.stride;
      layers_[l] = at;
      bytes_of_a_row_ += 3 * at.stride * Index(sizeof(T));  // outputs, errors, sums or masks
    }
    tile_rows_ = larger(1, smaller(most_tile_rows, most_tile_bytes / bytes_of_a_row_));
    make_pieces();
  }

  nineline::Training* train(const LossSpec&, const RuleSpec&, const Factors*, void* flat) const override;
  nineline::Runner* run() const override;

  Index count() const { return count_; }
  const Layer& layer(Index l) const { return layers_[l]; }
  const Layer& last() const { return layers_[count_ - 1]; }
  Index inputs() const { return layers_[0].inputs; }
  Index outputs() const { return last().outputs; }
  Index flat_size() const { return flat_size_; }
  Index size() const { return size_; }  // of a padded vector
  Index turned_size() const { return turned_size_; }  // of the turned copies
  Index piece_count() const { return piece_count_; }
  const Piece& piece(Index p) const { return pieces_[p]; }
  Index most_of_a_piece() const { return most_of_a_piece_; }  // how many numbers

  void pack(const T* flat, T* padded) const {
    for (Index l = 0; l < count_; ++l)
      if (layers_[l].dense) NINELINE_LEVEL::pack(layers_[l], flat + layers_[l].flat, padded + layers_[l].place);
  }
  void unpack(const T* padded, T* flat) const {
    for (Index l = 0; l < count_; ++l)
      if (layers_[l].dense) NINELINE_LEVEL::unpack(layers_[l], padded + layers_[l].place, flat + layers_[l].flat);
  }

  // About how many multiplications and additions a row takes, there and back.
  double work_of_a_row() const { return work_; }

  // How many rows go through the network together, and about how much memory each takes on its way.
  Index tile_rows() const { return tile_rows_; }
  Index bytes_of_a_row() const { return bytes_of_a_row_; }

 private:
  static constexpr Index most_tile_rows = 96, most_tile_bytes = Index(1) << 26;

  // Blocks of whole rows where those are not long, so that vectors are passed over as they lie, and of rows enough to
  // make their numbers worth a thread's while.
  void make_pieces() {
    constexpr Index most_columns = 128, numbers = 2048;
    for (int counting = 1; counting >= 0; --counting) {
      Index n = 0;
      for (Index l = 0; l < count_; ++l) {
        const Layer& at = layers_[l];
        if (!at.dense) continue;
        const Index stride = at.stride_of_weights(), height = at.rows_of_weights();
        const Index rows = round_up(numbers / smaller(stride, most_columns), 48);  // turned over in whole vectors
        for (Index column = 0; column < stride; column += most_columns)
          for (Index row = 0; row < height; row += rows) {
            const Block block{row, smaller(rows, height - row), column, smaller(most_columns, stride - column)};
            const bool bias = at.bias && row == 0 && (column == 0 || !at.turned);
            if (counting == 0) pieces_[n] = {l, block, true, bias};
            most_of_a_piece_ =
                larger(most_of_a_piece_, block.rows * block.columns + larger(block.columns, at.stride_of_bias()));
            ++n;
          }
      }
      if (counting == 1) pieces_ = Array<Piece>{n};
      piece_count_ = n;
    }
  }

  Array<Layer> layers_;
  Index count_;
  Index flat_size_ = 0, size_ = 0, turned_size_ = 0;
  double work_ = 0;
  Index bytes_of_a_row_ = 0, tile_rows_ = 1;
  Array<Piece> pieces_;
  Index piece_count_ = 0, most_of_a_piece_ = 0;
};

}  // namespace nineline::NINELINE_LEVEL

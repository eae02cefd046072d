// A network: layers over one padded vector of parameters, and the pieces that this vector is moved in.
//
// Twin: Network in src/nineline/network.py.
#pragma once

#include "kernels.hpp"
#include "kinds.hpp"
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
    columns_ = Array<EmbeddingColumn>{specs[0].columns};  // an embedding is the first layer
    // Rows of the data are not padded; when the network runs, dropout is skipped, so what follows may read the data.
    Layer data;
    data.stride = specs[0].inputs;
    data.padded = false;
    bool learned = false;
    for (Index l = 0; l < count; ++l) {
      const Before before{l == 0 ? data : layers_[l - 1], l == 0, learned};
      Layer& at = layers_[l];
      static_cast<LayerSpec&>(at) = specs[l];
      at.input_stride = before.layer.stride;
      at.stride = round_up(at.outputs, width<T>);
      if (at.columns > 0) at.vectors = columns_.data();
      with_kind(at.kind, [&](auto kind) { work_ += decltype(kind)::template lay_out<T>(at, before); });
      if (at.from >= 0) layers_[at.from].goes_on_elsewhere = true;
      if (l == count - 1 && any_joins(Losses{}, at.activation)) at.keeps_z = true;  // a loss may want them
      at.place_in(blocks_, flat_size_, size_, turned_size_, round_up(at.outputs, width<T>));
      size_ = round_up(size_, width<T>);
      learned = learned || at.blocks() > 0;
      bytes_of_a_row_ += (2 * at.stride + larger(at.stride, at.beside)) * Index(sizeof(T));  // outputs, errors, sums
    }
    find_reader();
    const Index most = size_ > many_parameters ? 2 * most_tile_rows : most_tile_rows;  // to meet those less often
    tile_rows_ = larger(1, smaller(most, most_tile_bytes / bytes_of_a_row_));
    make_pieces();
  }

  nineline::Training* train(const LossSpec&, const RuleSpec&, const double* factors, void* flat) const override;
  nineline::Many* many(const LossSpec&, const RuleSpec&, const double* factors) const override;
  nineline::Runner* run() const override;
  nineline::Differentiator* differentiate() const override;
  nineline::Curvature* bend(const LossSpec&, const RuleSpec&, const double* factors, void* flat) const override;

  Index count() const { return count_; }
  const Layer& layer(Index l) const { return layers_[l]; }
  const Layer& last() const { return layers_[count_ - 1]; }
  Index inputs() const { return layers_[0].inputs; }
  // The dense layer that can read the entries of compact rows: the first, or the one behind an embedding; -1 where there
  // is none, or another layer reads the data too.
  Index reader() const { return reader_; }
  Index outputs() const { return last().outputs; }
  // The first layer that is there when the network runs.
  Index first_running() const {
    Index l = 0;
    while (!runs(layers_[l].kind)) ++l;
    return l;
  }
  Index flat_size() const { return flat_size_; }
  Index block_count() const override { return blocks_; }
  Index size() const { return size_; }  // of a padded vector
  Index turned_size() const { return turned_size_; }  // of the turned copies
  Index piece_count() const { return piece_count_; }
  const Piece& piece(Index p) const { return pieces_[p]; }
  Index most_of_a_piece() const { return most_of_a_piece_; }  // how many numbers

  void pack(const T* flat, T* padded) const {
    for (Index l = 0; l < count_; ++l)
      if (layers_[l].height > 0) NINELINE_LEVEL::pack(layers_[l], flat + layers_[l].flat, padded + layers_[l].place);
  }
  void unpack(const T* padded, T* flat) const {
    for (Index l = 0; l < count_; ++l)
      if (layers_[l].height > 0) NINELINE_LEVEL::unpack(layers_[l], padded + layers_[l].place, flat + layers_[l].flat);
  }

  // About how many multiplications and additions a row takes, there and back.
  double work_of_a_row() const { return work_; }

  // How many rows go through the network together, and about how much memory each takes on its way.
  Index tile_rows() const { return tile_rows_; }
  Index bytes_of_a_row() const { return bytes_of_a_row_; }

 private:
  static constexpr Index most_tile_rows = 96, most_tile_bytes = Index(1) << 26, many_parameters = Index(1) << 15;

  void find_reader() {
    for (Index l = 0; l < count_; ++l)
      if (is<Shortcut>(layers_[l].kind) && layers_[l].from < 0) return;
    if (is<Dense>(layers_[0].kind)) reader_ = 0;
    else if (layers_[0].vectors != nullptr && is<Dense>(layers_[1].kind) && !layers_[0].goes_on_elsewhere) reader_ = 1;
  }

  // Blocks of whole rows where those are not very long, so that vectors are passed over as they lie, and of rows enough
  // to make their numbers worth a thread's while.
  void make_pieces() {
    constexpr Index most_columns = 1024, numbers = 4096;
    for (int counting = 1; counting >= 0; --counting) {
      Index n = 0;
      for (Index l = 0; l < count_; ++l) {
        const Layer& at = layers_[l];
        if (at.height == 0) continue;
        const Index stride = at.stride_of_weights(), height = at.rows_of_weights();
        const Index some = numbers / smaller(stride, most_columns);
        const Index rows = some > 16 ? round_up(some, 48) : 16;  // blocks of 6 rows, and turned over in whole vectors
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

  List<Layer> layers_;
  Index count_;
  Array<EmbeddingColumn> columns_;  // of the embedding
  Index blocks_ = 0, reader_ = -1;
  Index flat_size_ = 0, size_ = 0, turned_size_ = 0;
  double work_ = 0;
  Index bytes_of_a_row_ = 0, tile_rows_ = 1;
  Array<Piece> pieces_;
  Index piece_count_ = 0, most_of_a_piece_ = 0;
};

}  // namespace nineline::NINELINE_LEVEL

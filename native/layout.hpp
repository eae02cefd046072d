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
    for (Index l = 0; l < count; ++l) columns_of_embeddings_ += specs[l].columns;
    columns_ = Array<EmbeddingColumn>{columns_of_embeddings_};
    // Of the data rows are not padded, and where there is dropout before a layer, they are what it reads in running.
    Layer data;
    data.stride = specs[0].inputs;
    data.padded = false;
    bool learned = false;  // something before a layer, so that errors of its inputs are asked for
    for (Index l = 0; l < count; ++l) {
      const Layer& before = l == 0 ? data : layers_[l - 1];
      Layer& at = layers_[l];
      static_cast<LayerSpec&>(at) = specs[l];
      at.input_stride = before.stride;
      at.stride = round_up(at.outputs, width<T>);
      if (is<Dense>(at.kind)) lay_out_dense(at, before, learned);
      else if (is<Dropout>(at.kind)) lay_out_dropout(at, before, l == 0);
      else if (is<Embedding>(at.kind)) lay_out_embedding(at);
      else if (is<LayerNorm>(at.kind)) lay_out_norm(at);
      else if (at.from >= 0) layers_[at.from].goes_on_elsewhere = true;
      // of the last layer a loss may want them, whichever comes
      at.keeps_z = is<Dense>(at.kind) && (needs_z(at.activation) || (l == count - 1 && any_joins(Losses{}, at.activation)));
      at.block = blocks_;
      blocks_ += at.blocks();
      at.flat = flat_size_;
      flat_size_ += at.flat_size();
      at.place = size_;
      at.weights = at.rows_of_weights() * at.stride_of_weights();
      at.size = at.height == 0 ? 0 : at.weights + (at.bias ? round_up(at.outputs, width<T>) : 0);
      size_ += round_up(at.size, width<T>);
      learned = learned || at.blocks() > 0;
      bytes_of_a_row_ += (2 * at.stride + larger(at.stride, at.beside)) * Index(sizeof(T));  // outputs, errors, sums
    }
    tile_rows_ = larger(1, smaller(most_tile_rows, most_tile_bytes / bytes_of_a_row_));
    make_pieces();
  }

  nineline::Training* train(const LossSpec&, const RuleSpec&, const double* factors, void* flat) const override;
  nineline::Runner* run() const override;

  Index count() const { return count_; }
  const Layer& layer(Index l) const { return layers_[l]; }
  const Layer& last() const { return layers_[count_ - 1]; }
  Index inputs() const { return layers_[0].inputs; }
  Index outputs() const { return last().outputs; }
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
  void lay_out_dense(Layer& at, const Layer& before, bool learned) {
    at.height = at.inputs;
    at.penalised = true;
    at.input_is_packed = !before.padded;
    at.turned = before.padded && at.outputs * (at.input_stride / width<T> + 3) <= at.inputs;
    at.padded = !at.turned;
    if (at.turned) at.stride = at.outputs;
    at.has_turned_copy = learned && !at.turned && !at.input_is_packed;
    at.turned_place = turned_size_;
    turned_size_ += at.has_turned_copy ? at.outputs * at.input_stride : 0;
    work_ += double(at.inputs) * double(at.stride) * (learned ? 3 : 2) + 40 * double(at.stride);
  }

  // When the network runs it is not there, so that what comes after it reads what came before.
  void lay_out_dropout(Layer& at, const Layer& before, bool first) {
    if (!first) at.stride = before.stride;
    at.padded = before.padded;
    at.beside = at.stride;
  }

  void lay_out_norm(Layer& at) {
    at.height = 1;
    at.bias = true;
    at.beside = at.stride + width<T>;
    work_ += 20 * double(at.stride);
  }

  void lay_out_embedding(Layer& at) {
    EmbeddingColumn* const vectors = columns_.data() + (columns_of_embeddings_ -= at.columns);
    Index place = 0, start = 0;
    for (Index c = 0; c < at.columns; ++c) {
      vectors[c] = {at.levels[c], at.widths[c], place, start};
      place += at.levels[c] * at.widths[c];
      start += at.widths[c];
    }
    at.vectors = vectors;
    work_ += 4 * double(at.stride);
  }

  static constexpr Index most_tile_rows = 96, most_tile_bytes = Index(1) << 26;

  // Blocks of whole rows where those are not long, so that vectors are passed over as they lie, and of rows enough to
  // make their numbers worth a thread's while.
  void make_pieces() {
    constexpr Index most_columns = 128, numbers = 2048;
    for (int counting = 1; counting >= 0; --counting) {
      Index n = 0;
      for (Index l = 0; l < count_; ++l) {
        const Layer& at = layers_[l];
        if (at.height == 0) continue;
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

  List<Layer> layers_;
  Index count_;
  Array<EmbeddingColumn> columns_;  // of all embeddings
  Index columns_of_embeddings_ = 0, blocks_ = 0;
  Index flat_size_ = 0, size_ = 0, turned_size_ = 0;
  double work_ = 0;
  Index bytes_of_a_row_ = 0, tile_rows_ = 1;
  Array<Piece> pieces_;
  Index piece_count_ = 0, most_of_a_piece_ = 0;
};

}  // namespace nineline::NINELINE_LEVEL

//! Borrowed matrices: a slice of floats plus shape and strides.
//!
//! Promise: every element that a view can name lies inside its slice; this is checked when the
//! view is made, so that the kernels may read without checking again.
//! Takes: slices. Gives: views, transposed views, row and column ranges.
//! Never: copies or owns data.

use std::ops::Range;

/// A read-only matrix `[rows, cols]`; element `(i, j)` is `data[i·row_stride + j·col_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> MatRef<'a> {
    /// Row-major `[rows, cols]` without gaps. Panics unless `data.len() == rows · cols`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "matrix [{rows}, {cols}] got {} floats", data.len());
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// Any strides, in elements. Panics if an element would lie outside `data`.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Self {
        if rows > 0 && cols > 0 {
            let last = (rows - 1) * row_stride + (cols - 1) * col_stride;
            assert!(
                last < data.len(),
                "matrix [{rows}, {cols}] with strides [{row_stride}, {col_stride}] needs {} floats, got {}",
                last + 1,
                data.len()
            );
        }
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Elements from one row to the next.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// Elements from one column to the next.
    pub fn col_stride(&self) -> usize {
        self.col_stride
    }

    /// The transposed view `[cols, rows]` of the same data.
    pub fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// The rows in `range`. Panics if `range` does not lie within the rows.
    pub fn row_range(self, range: Range<usize>) -> Self {
        let (start, end) = (range.start, range.end);
        assert!(start <= end && end <= self.rows, "rows {start}..{end} of {}", self.rows);
        let skip = (start * self.row_stride).min(self.data.len());
        Self { data: &self.data[skip..], rows: end - start, ..self }
    }

    /// The columns in `range`. Panics if `range` does not lie within the columns.
    pub fn col_range(self, range: Range<usize>) -> Self {
        self.t().row_range(range).t()
    }

    /// Element `(row, col)`. Panics if it lies outside the slice.
    pub fn at(&self, row: usize, col: usize) -> f32 {
        self.data[row * self.row_stride + col * self.col_stride]
    }

    /// The slice that begins with element `(0, 0)`.
    pub(super) fn data(&self) -> &'a [f32] {
        self.data
    }
}

/// A matrix `[rows, cols]` to write to; rows are contiguous and `row_stride` elements apart.
#[derive(Debug)]
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a> MatMut<'a> {
    /// Row-major `[rows, cols]` without gaps. Panics unless `data.len() == rows · cols`.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "matrix [{rows}, {cols}] got {} floats", data.len());
        Self { data, rows, cols, row_stride: cols }
    }

    /// Rows `row_stride ≥ cols` elements apart. Panics if rows overlap or leave `data`.
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(row_stride >= cols, "rows of {cols} overlap at stride {row_stride}");
        if rows > 0 && cols > 0 {
            let need = (rows - 1) * row_stride + cols;
            assert!(need <= data.len(), "matrix needs {need} floats, got {}", data.len());
        }
        Self { data, rows, cols, row_stride }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Elements from one row to the next.
    pub fn row_stride(&self) -> usize {
        self.row_stride
    }

    /// The slice that begins with element `(0, 0)`.
    pub(super) fn data(&mut self) -> &mut [f32] {
        self.data
    }
}

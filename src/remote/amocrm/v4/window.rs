//! Offsets over a listing that knows only pages.
//!
//! The port asks for the rows from an offset on, v4 gives pages of at most [`ROWS`] rows. Page `n` holds the places from
//! `(n - 1) * ROWS` on; the pages that cover the places asked for are read, and the rows outside them dropped. Rows that
//! two windows share are so read twice, as the port wants it.
//!
//! A page that is short though more follows stands at the end of its places: what follows it adjoins.

use super::map::Filed;
use crate::core::time::Millis;
use crate::ports::remote::{BrokenRow, Page, PageRequest};
use crate::remote::amocrm::page::{self, Rows};

/// Rows of a page (v4: at most 250; what is asked for beyond is not honoured).
pub(super) const ROWS: u32 = 250;

/// The part of a listing that was asked for, as far as it was read.
pub(super) struct Window<R> {
    from: u32,
    to: u32,
    since: Option<i64>,
    page: Page<R>,
    /// Where the listing ends, once that is known.
    end: Option<u32>,
    /// A row from before the time asked for was met.
    met_older: bool,
}

impl<R> Window<R> {
    pub(super) fn new(request: PageRequest) -> Window<R> {
        Window {
            from: request.offset,
            to: request.offset.saturating_add(request.limit),
            since: request.since.map(Millis::seconds),
            page: page::empty(),
            end: None,
            met_older: false,
        }
    }

    /// The number of the page to read first.
    pub(super) fn first_page(&self) -> u32 {
        self.from / ROWS + 1
    }

    /// True when no further page is needed after this one.
    pub(super) fn is_covered(&self, number: u32) -> bool {
        self.end.is_some() || number.saturating_mul(ROWS) >= self.to
    }

    /// True when the listing held rows from before the time asked for: a filter would have left them out.
    pub(super) fn met_older(&self) -> bool {
        self.met_older
    }

    /// Takes a page of the listing.
    pub(super) fn take(&mut self, number: u32, rows: Rows<Filed<R>>) {
        self.page.server_time = page::earlier(self.page.server_time, rows.server_time);
        let length = u32::try_from(rows.rows.len()).unwrap_or(u32::MAX);
        let goes_on = rows.goes_on(ROWS);
        let cut = self.cut(&rows.rows);
        let start = number.saturating_sub(1).saturating_mul(ROWS);
        let start = if goes_on { start + ROWS.saturating_sub(length) } else { start };
        for (place, row) in (start..).zip(rows.rows.into_iter().take(cut)) {
            if (self.from..self.to).contains(&place) {
                self.put(row);
            }
        }
        let taken = u32::try_from(cut).unwrap_or(u32::MAX);
        if taken < length || !goes_on {
            self.end = Some(start.saturating_add(taken));
        }
    }

    fn put(&mut self, row: Result<Filed<R>, BrokenRow>) {
        match row {
            Ok(filed) => self.page.rows.extend(filed.record),
            Err(broken) => self.page.broken.push(broken),
        }
    }

    /// How many rows of a page are wanted. Where they come latest change first, nothing that follows an older row is;
    /// where they plainly do not, all are, for the order was not kept.
    fn cut(&mut self, rows: &[Result<Filed<R>, BrokenRow>]) -> usize {
        let Some(since) = self.since else { return rows.len() };
        let times: Vec<i64> = rows.iter().flatten().map(|row| row.updated_at).collect();
        let is_older = |row: &Result<Filed<R>, BrokenRow>| row.as_ref().is_ok_and(|row| row.updated_at < since);
        let Some(first) = rows.iter().position(is_older) else { return rows.len() };
        self.met_older = true;
        let is_ordered = times.windows(2).all(|pair| pair[0] >= pair[1]);
        if is_ordered { first } else { rows.len() }
    }

    /// What was asked for.
    pub(super) fn into_page(self) -> Page<R> {
        let end = self.end.unwrap_or(self.to).min(self.to);
        Page { received: end.saturating_sub(self.from), ..self.page }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A listing of these times, cut into pages, read by windows; the rows by their numbers, and how it was told to end.
    fn read(times: &[i64], since: Option<i64>, offset: u32, limit: u32, tells_next: bool) -> (Vec<u64>, u32, u32) {
        let request = PageRequest { since: since.map(Millis::from_seconds), offset, limit };
        let mut window = Window::new(request);
        let mut number = window.first_page();
        let mut pages = 0;
        loop {
            let start = (number as usize - 1) * ROWS as usize;
            let part = times.iter().enumerate().skip(start).take(ROWS as usize);
            let rows = part.map(|(id, at)| {
                Ok(Filed { id: id as u64, updated_at: *at, dates: BTreeSet::new(), record: Some(id as u64) })
            });
            let rows: Vec<_> = rows.collect();
            let has_next = tells_next.then(|| start + rows.len() < times.len());
            window.take(number, Rows { rows, has_next, server_time: None });
            pages += 1;
            if window.is_covered(number) {
                let page = window.into_page();
                return (page.rows, page.received, pages);
            }
            number += 1;
        }
    }

    #[test]
    fn a_window_is_read_from_the_pages_that_cover_it() {
        let times = vec![5; 1_000];
        for tells_next in [true, false] {
            let read = |offset, limit| read(&times, None, offset, limit, tells_next);
            assert_eq!(read(0, 500), ((0..500).collect(), 500, 2));
            assert_eq!(read(495, 500), ((495..995).collect(), 500, 3));
            assert_eq!(read(990, 500), ((990..1_000).collect(), 10, if tells_next { 1 } else { 2 }));
            assert_eq!(read(10, 5), ((10..15).collect(), 5, 1));
            assert_eq!(read(1_200, 500), (vec![], 0, 1));
        }
    }

    #[test]
    fn reading_stops_at_the_first_row_that_is_too_old() {
        let mut times = vec![9; 300];
        times.extend([3; 700]);
        assert_eq!(read(&times, Some(5), 0, 500, true), ((0..300).collect(), 300, 2));
        assert_eq!(read(&times, Some(3), 0, 500, true), ((0..500).collect(), 500, 2));
        assert_eq!(read(&times, Some(10), 0, 500, true), (vec![], 0, 1));
    }

    #[test]
    fn an_order_that_is_not_kept_stops_nothing() {
        let mut times = vec![3; 400];
        times[120] = 9;
        times[399] = 9;
        assert_eq!(read(&times, Some(5), 0, 500, true).1, 400);
    }

    #[test]
    fn short_pages_in_between_keep_their_neighbours() {
        let rows = |ids: std::ops::Range<u64>| {
            ids.map(|id| Ok(Filed { id, updated_at: 1, dates: BTreeSet::new(), record: Some(id) })).collect()
        };
        let request = PageRequest { since: None, offset: 245, limit: 500 };
        let mut window = Window::new(request);
        window.take(1, Rows { rows: rows(0..50), has_next: Some(true), server_time: None });
        window.take(2, Rows { rows: rows(50..100), has_next: Some(true), server_time: None });
        window.take(3, Rows { rows: rows(100..120), has_next: Some(false), server_time: None });
        let page = window.into_page();
        assert_eq!((page.rows, page.received), ((45..120).collect(), 275));
    }
}

//! Connections that can be cut.

use std::{
    io,
    net::TcpListener as Listener,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

/// After how many more bytes the connection that writes them is cut; negative for never.
// Relaxed, and read and written in two steps: all connections are served by one thread. An atomic only because they
// share it.
pub(crate) struct ConnectionCuts(AtomicI64);

impl Default for ConnectionCuts {
    fn default() -> ConnectionCuts {
        ConnectionCuts(AtomicI64::new(-1))
    }
}

impl ConnectionCuts {
    pub(crate) fn cut_after(&self, bytes: u64) {
        self.0.store(bytes as i64, Relaxed);
    }

    /// How many of so many bytes may be written; `None` if the connection is cut now.
    fn allow(&self, bytes: usize) -> Option<usize> {
        let left = self.0.load(Relaxed);
        if left < 0 {
            return Some(bytes);
        }
        // The cut is over with the connection that it hits: the client's next one works, as after a fault of the
        // network.
        if left == 0 {
            self.0.store(-1, Relaxed);
            return None;
        }
        let allowed = bytes.min(left as usize);
        self.0.store(left - allowed as i64, Relaxed);
        Some(allowed)
    }
}

/// New connections.
pub(crate) struct Connections {
    listener: TcpListener,
    cuts: Arc<ConnectionCuts>,
}

impl Connections {
    pub(crate) fn new(listener: Listener, cuts: Arc<ConnectionCuts>) -> io::Result<Connections> {
        Ok(Connections { listener: TcpListener::from_std(listener)?, cuts })
    }
}

impl Stream for Connections {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let accepted = std::task::ready!(self.listener.poll_accept(cx));
        Poll::Ready(Some(accepted.map(|(stream, _)| Connection { stream, cuts: self.cuts.clone() })))
    }
}

pub(crate) struct Connection {
    stream: TcpStream,
    cuts: Arc<ConnectionCuts>,
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, to)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.cuts.allow(bytes.len()) {
            Some(count) => Pin::new(&mut this.stream).poll_write(cx, &bytes[..count]),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

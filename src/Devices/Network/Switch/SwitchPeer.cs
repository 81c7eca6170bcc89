using System.Net.Sockets;
using System.Runtime.InteropServices;
using Dbt.Devices.Network.Host;

namespace Dbt.Devices.Network.Switch;

/// <summary>What became of a frame for a peer.</summary>
internal enum PeerResult
{
    Sent,

    /// <summary>It waits; the peer's descriptor is to be polled for room.</summary>
    Waiting,

    Dropped,

    /// <summary>Nobody listens there any more.</summary>
    Gone,
}

/// <summary>
/// Another port of a shared switch, as a sender sees it: a socket connected to its, and the frames that wait until it has read some.
/// Thread-safe.
/// </summary>
internal sealed unsafe class SwitchPeer : IDisposable
{
    private const int SendBuffer = 1 << 20;
    private readonly Lock _lock = new();
    private readonly Socket _socket;
    private readonly FrameQueue _waiting = new();
    private readonly ulong _self;
    private bool _disposed;

    private SwitchPeer(ulong port, ulong self, Socket socket)
    {
        Port = port;
        _self = self;
        _socket = socket;
        Descriptor = (int)socket.Handle;
    }

    /// <summary>The peer's number.</summary>
    public ulong Port { get; }

    /// <summary>The socket, to be polled for <see cref="HostCalls.PollOut"/> while <see cref="IsWaiting"/>.</summary>
    public int Descriptor { get; }

    /// <summary>Whether frames wait for it.</summary>
    public bool IsWaiting
    {
        get
        {
            lock (_lock)
            {
                return !_waiting.IsEmpty;
            }
        }
    }

    /// <summary>Connects to a port.</summary>
    /// <param name="folder">The switch's.</param>
    /// <param name="port">The peer's number.</param>
    /// <param name="self">The sender's number.</param>
    /// <param name="gone">Whether nobody listens there; else the host failed, and it may be tried again.</param>
    /// <returns>Null where it can't be done.</returns>
    public static SwitchPeer? Connect(SwitchFolder folder, ulong port, ulong self, out bool gone)
    {
        gone = false;
        Socket? socket = null;
        try
        {
            // A longer buffer than the host allows is cut to that.
            socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { Blocking = false, SendBufferSize = SendBuffer };
            socket.Connect(new UnixDomainSocketEndPoint(folder.SocketPath(port)));
            return new SwitchPeer(port, self, socket);
        }
        catch (SocketException error)
        {
            gone = error.SocketErrorCode is SocketError.ConnectionRefused or SocketError.AddressNotAvailable;
            socket?.Dispose();
            return null;
        }
    }

    /// <summary>Sends a frame, behind those that wait.</summary>
    public PeerResult Send(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        lock (_lock)
        {
            PeerResult result = _disposed ? PeerResult.Gone : _waiting.IsEmpty ? Write(frame, offload) : PeerResult.Waiting;
            return result == PeerResult.Waiting && !_waiting.TryAdd(frame, offload) ? PeerResult.Dropped : result;
        }
    }

    /// <summary>Sends what waits, as far as there is room.</summary>
    public PeerResult Drain()
    {
        lock (_lock)
        {
            while (!_disposed && !_waiting.IsEmpty)
            {
                PeerResult result = Write(_waiting.Peek(out FrameOffload offload), offload);
                if (result is PeerResult.Waiting or PeerResult.Gone)
                {
                    return result;
                }

                _waiting.Remove();
            }

            return PeerResult.Sent;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _waiting.Clear();
            _socket.Dispose();
        }
    }

    private PeerResult Write(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        byte* header = stackalloc byte[SwitchMessage.HeaderLength];
        SwitchMessage.Write(new Span<byte>(header, SwitchMessage.HeaderLength), _self, offload);
        fixed (byte* bytes = frame)
        {
            HostCalls.Piece* pieces = stackalloc HostCalls.Piece[2];
            pieces[0] = new HostCalls.Piece { Start = header, Length = SwitchMessage.HeaderLength };
            pieces[1] = new HostCalls.Piece { Start = bytes, Length = (nuint)frame.Length };
            while (HostCalls.WriteVector(Descriptor, pieces, 2) < 0)
            {
                switch (Marshal.GetLastPInvokeError())
                {
                    case HostCalls.Interrupted:
                        break;
                    case HostCalls.Again:
                        return PeerResult.Waiting;
                    case HostCalls.ConnectionRefused or HostCalls.ConnectionReset or HostCalls.NotConnected:
                        return PeerResult.Gone;
                    default:
                        return PeerResult.Dropped; // short of memory, for instance
                }
            }
        }

        return PeerResult.Sent;
    }
}

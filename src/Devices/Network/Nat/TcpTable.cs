using System.Net;
using System.Net.Sockets;

namespace Dbt.Devices.Network.Nat;

/// <summary>All TCP connections of the guest, at most <see cref="Most"/>.</summary>
internal sealed class TcpTable(NatStack stack) : IDisposable
{
    /// <summary>Connections at a time.</summary>
    public const int Most = 1024;

    private readonly Dictionary<FlowKey, TcpConnection> _connections = [];

    // A transfer's segments follow one another.
    private TcpConnection? _last;

    /// <summary>The network.</summary>
    public NatStack Stack => stack;

    /// <summary>Connections there are.</summary>
    public int Count => _connections.Count;

    /// <summary>Takes a segment of the guest, its checksum good.</summary>
    public void Input(in IpPacket packet, in TcpSegment segment)
    {
        var key = new FlowKey(packet.Source, segment.SourcePort, packet.Destination, segment.DestinationPort);
        bool begins = (segment.Flags & (TcpFlags.Syn | TcpFlags.Ack | TcpFlags.Rst)) == TcpFlags.Syn;
        if (_last is not TcpConnection connection || connection.Key != key)
        {
            if (!_connections.TryGetValue(key, out connection!))
            {
                if (begins)
                {
                    Open(key, segment);
                }
                else
                {
                    Refuse(key, segment);
                }

                return;
            }

            _last = connection;
        }

        if (begins && connection.State == TcpState.TimeWait)
        {
            connection.Abort(tellGuest: false);
            Open(key, segment);
            return;
        }

        connection.Input(segment);
    }

    /// <summary>Takes a connection that the host has accepted for the guest.</summary>
    /// <param name="host">Its socket; disposed where there is no place for it.</param>
    /// <param name="key">Both ends as the guest is to see them; another remote port is taken where this one is in use.</param>
    public void Accept(Socket host, FlowKey key)
    {
        for (int tries = 0; _connections.ContainsKey(key) && tries < 64; tries++)
        {
            key = key with { RemotePort = (ushort)Random.Shared.Next(49152, 65536) };
        }

        if (_connections.ContainsKey(key) || !MakeRoom())
        {
            HostSocket.Abort(host);
            return;
        }

        var connection = new TcpConnection(this, key, host);
        _connections.Add(key, connection);
        if (stack.Poller.TryAdd(connection, host))
        {
            connection.Offer();
        }
        else
        {
            connection.Abort(tellGuest: false);
        }
    }

    /// <summary>Forgets a connection.</summary>
    public void Remove(TcpConnection connection)
    {
        _connections.Remove(connection.Key);
        _last = _last == connection ? null : _last;
    }

    /// <summary>Tells the guest that a connection is no more, or never was.</summary>
    public void SendReset(in FlowKey key, uint sequence, uint acknowledgement, TcpFlags flags) =>
        TcpReset.Send(stack.Link, key, sequence, acknowledgement, flags);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (TcpConnection connection in _connections.Values.ToArray())
        {
            connection.Abort(tellGuest: false);
        }
    }

    private void Refuse(in FlowKey key, in TcpSegment segment)
    {
        if (segment.Has(TcpFlags.Rst))
        {
            return;
        }

        if (segment.Has(TcpFlags.Ack))
        {
            SendReset(key, segment.Acknowledgement, 0, TcpFlags.Rst);
        }
        else
        {
            SendReset(key, 0, segment.Sequence + segment.Length, TcpFlags.Rst | TcpFlags.Ack);
        }
    }

    private void Open(in FlowKey key, in TcpSegment syn)
    {
        IPEndPoint? target = stack.HostTarget(key.Remote, key.RemotePort);
        if (target is null || !MakeRoom())
        {
            Refuse(key, syn);
            return;
        }

        Socket? host = HostSocket.Create(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        if (host is null)
        {
            Refuse(key, syn);
            return;
        }

        host.NoDelay = true;
        SocketError error = HostSocket.Connect(host, target);
        var connection = new TcpConnection(this, key, host);
        _connections.Add(key, connection);
        connection.Open(syn, error);
        if (connection.State != TcpState.Closed && !stack.Poller.TryAdd(connection, host))
        {
            connection.Abort(tellGuest: true);
        }
    }

    // One that has ended gives way to a new one; one that is alive doesn't.
    private bool MakeRoom()
    {
        if (_connections.Count >= Most && _connections.Values.FirstOrDefault(c => c.State == TcpState.TimeWait) is TcpConnection ended)
        {
            ended.Abort(tellGuest: false);
        }

        return _connections.Count < Most;
    }
}

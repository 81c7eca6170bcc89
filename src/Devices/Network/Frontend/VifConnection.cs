using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Dbt.Devices.Store;

namespace Dbt.Devices.Network.Frontend;

/// <summary>Ring references and ports of one queue; the ports are the same where the guest has one event channel for both.</summary>
internal readonly record struct VifQueueNodes(uint TransmitRing, uint ReceiveRing, uint TransmitPort, uint ReceivePort);

/// <summary>What a frontend published for one connection (nodes of public/io/netif.h). All of it is the guest's word.</summary>
internal sealed class VifConnection : IEquatable<VifConnection>
{
    private VifConnection(VifQueueNodes[] queues, VifFeatures features, (uint Ring, uint Port)? control)
    {
        Queues = queues;
        Features = features;
        Control = control;
    }

    /// <summary>The queues, one at least.</summary>
    public IReadOnlyList<VifQueueNodes> Queues { get; }

    /// <summary>What the frontend takes.</summary>
    public VifFeatures Features { get; }

    /// <summary>The control ring and its port; null for none.</summary>
    public (uint Ring, uint Port)? Control { get; }

    /// <summary>The frontend's state; <see cref="XenbusState.Unknown"/> where there is no node, or no number in it.</summary>
    public static XenbusState ReadState(XenStore store, string front) =>
        TryNumber(store, front + "/state", out uint state) && state <= (uint)XenbusState.Reconfigured ? (XenbusState)state : XenbusState.Unknown;

    /// <summary>Whether a node holds a number other than 0.</summary>
    public static bool ReadFlag(XenStore store, string path) => TryNumber(store, path, out uint value) && value != 0;

    /// <summary>Reads the frontend's nodes.</summary>
    /// <returns>False, with a reason, where they are absent or can't be used.</returns>
    public static bool TryRead(
        XenStore store, string front, int maxQueues, [NotNullWhen(true)] out VifConnection? connection, [NotNullWhen(false)] out string? why)
    {
        connection = null;
        if (!ReadFlag(store, front + "/request-rx-copy"))
        {
            why = "the frontend doesn't let received frames be copied (request-rx-copy)";
            return false;
        }

        uint count = 1;
        if (store.Read(front + "/multi-queue-num-queues") is not null
            && (!TryNumber(store, front + "/multi-queue-num-queues", out count) || count == 0 || count > maxQueues))
        {
            why = "the frontend wants a number of queues that was not offered";
            return false;
        }

        var queues = new VifQueueNodes[count];
        for (int i = 0; i < queues.Length; i++)
        {
            string path = count == 1 ? front : string.Create(CultureInfo.InvariantCulture, $"{front}/queue-{i}");
            if (!TryReadQueue(store, path, out queues[i]))
            {
                why = $"the frontend named no rings or event channels for its queue {i}";
                return false;
            }
        }

        (uint, uint)? control = null;
        if (store.Read(front + "/ctrl-ring-ref") is not null)
        {
            if (!TryNumber(store, front + "/ctrl-ring-ref", out uint ring) || !TryNumber(store, front + "/event-channel-ctrl", out uint port))
            {
                why = "the frontend named no event channel for its control ring";
                return false;
            }

            control = (ring, port);
        }

        why = null;
        connection = new VifConnection(queues, ReadFeatures(store, front), control);
        return true;
    }

    /// <inheritdoc/>
    public bool Equals(VifConnection? other) =>
        other is not null && Features == other.Features && Control == other.Control && Queues.SequenceEqual(other.Queues);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as VifConnection);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Queues.Count, Queues[0], Features);

    private static VifFeatures ReadFeatures(XenStore store, string front) => new(
        ScatterGather: ReadFlag(store, front + "/feature-sg"),
        SegmentV4: ReadFlag(store, front + "/feature-gso-tcpv4"),
        SegmentV6: ReadFlag(store, front + "/feature-gso-tcpv6"),
        ChecksumV4: !ReadFlag(store, front + "/feature-no-csum-offload"),
        ChecksumV6: ReadFlag(store, front + "/feature-ipv6-csum-offload"),
        ReceiveNotify: ReadFlag(store, front + "/feature-rx-notify"));

    private static bool TryReadQueue(XenStore store, string path, out VifQueueNodes nodes)
    {
        nodes = default;
        if (!TryNumber(store, path + "/tx-ring-ref", out uint transmit) || !TryNumber(store, path + "/rx-ring-ref", out uint receive))
        {
            return false;
        }

        if (TryNumber(store, path + "/event-channel", out uint port))
        {
            nodes = new VifQueueNodes(transmit, receive, port, port);
            return true;
        }

        bool split = TryNumber(store, path + "/event-channel-tx", out uint transmitPort);
        split &= TryNumber(store, path + "/event-channel-rx", out uint receivePort);
        nodes = new VifQueueNodes(transmit, receive, transmitPort, receivePort);
        return split;
    }

    private static bool TryNumber(XenStore store, string path, out uint value)
    {
        value = 0;
        return uint.TryParse(store.Read(path), NumberStyles.None, CultureInfo.InvariantCulture, out value);
    }
}

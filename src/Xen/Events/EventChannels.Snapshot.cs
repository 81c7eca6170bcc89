using System.Globalization;
using Dbt.Xen.Abi;
using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Events;

/// <content>
/// Going on elsewhere. What is pending and masked lies in memory that the guest shares; here is what each port is. A port that a back end of this
/// process is connected to waits for one in what is saved: the back ends come back to it. Of the FIFO ABI it is which of the guest's frames are its, and the tails of queues.
/// </content>
public sealed partial class EventChannels
{
    private const int ChannelBytes = 21, FifoChannelBytes = 15, BlockBytes = 12 + (FifoEvents.Queues * 4);

    /// <summary>Writes all ports in use.</summary>
    /// <exception cref="SnapshotException">One leads to another domain.</exception>
    internal void Capture(SectionWriter writer)
    {
        lock (_lock)
        {
            List<uint> ports = [.. InUse()];
            writer.UInt32((uint)HighestPort);
            writer.UInt32((uint)ports.Count);
            foreach (uint port in ports)
            {
                Capture(writer, port, Find(port)!);
            }

            writer.Flag(_abi is FifoEvents);
            if (_abi is FifoEvents fifo)
            {
                Capture(writer, fifo);
            }
        }
    }

    // A port that is free may still be a queue's tail.
    private void Capture(SectionWriter writer, FifoEvents fifo)
    {
        writer.UInt32((uint)fifo.Blocks.Count(static block => block is not null));
        for (int vcpu = 0; vcpu < fifo.Blocks.Count; vcpu++)
        {
            if (fifo.Blocks[vcpu] is { } block)
            {
                writer.UInt32((uint)vcpu);
                writer.UInt32(Domain.GuestFrameOf(block.Mfn));
                writer.UInt32(block.Offset);
                foreach (uint tail in block.Tails)
                {
                    writer.UInt32(tail);
                }
            }
        }

        writer.UInt32((uint)fifo.Pages.Count);
        foreach (uint page in fifo.Pages)
        {
            writer.UInt32(Domain.GuestFrameOf(page));
        }

        List<uint> known = [.. Enumerable.Range(1, _ports.Length - 1).Select(static port => (uint)port).Where(port => _ports[port] is not null)];
        writer.UInt32((uint)known.Count);
        foreach (uint port in known)
        {
            EventChannel channel = _ports[port]!;
            writer.UInt32(port);
            writer.UInt32((uint)channel.Priority);
            writer.UInt16((ushort)channel.QueueVcpu);
            writer.UInt32((uint)channel.QueuePriority);
            writer.Flag(channel.IsLatched);
        }
    }

    /// <summary>Takes them up, in a domain whose ports are free.</summary>
    internal void Restore(SectionReader reader)
    {
        HighestPort = (int)reader.UInt32(1, MostHighestPort, "the highest port");
        int count = reader.Count(FifoEvents.Limit, ChannelBytes, "event channels");
        FifoEvents? fifo = null;
        lock (_lock)
        {
            try
            {
                for (int i = 0; i < count; i++)
                {
                    RestorePort(reader);
                }

                CheckPairs(reader);
                fifo = reader.Flag() ? RestoreFifo(reader) : null;
                if (fifo is null && InUse().Any(static port => port >= TwoLevelEvents.Limit))
                {
                    throw reader.Error("a port is beyond what two levels of bits have");
                }

                reader.End();
            }
            catch (SnapshotException)
            {
                if (_abi is FifoEvents)
                {
                    LeaveFifo();
                }

                // Nobody may meet half a pair, not even who ends the domain.
                foreach (EventChannel? channel in _ports)
                {
                    channel?.Reset();
                }

                _virqs.Clear();
                throw;
            }
        }
    }

    private void Capture(SectionWriter writer, uint port, EventChannel channel)
    {
        bool toBackend = channel is { State: ChannelState.Interdomain, Backend: not null };
        if (channel.Remote is { } remote && remote != Domain)
        {
            throw new SnapshotException(string.Create(CultureInfo.InvariantCulture,
                $"event channel {port} of {Domain.Name} leads to domain {remote.Id}; guests that are connected with one another can't be saved or moved"));
        }

        writer.UInt32(port);
        writer.UInt32((uint)(toBackend ? ChannelState.Unbound : channel.State));
        writer.Byte((byte)channel.Vcpu);
        writer.UInt32(toBackend ? BackendDomain : channel.RemoteDomain == Domain.Id ? Layout.DomidSelf : channel.RemoteDomain);
        writer.UInt32(toBackend ? 0 : channel.RemotePort);
        writer.UInt32((uint)channel.Virq);
    }

    private void RestorePort(SectionReader reader)
    {
        uint port = reader.UInt32(1, FifoEvents.Limit - 1, "a port");
        var state = (ChannelState)reader.UInt32();
        byte vcpu = reader.Byte();
        uint remote = reader.UInt32(0, Layout.DomidSelf, "a domain id");
        uint remotePort = reader.UInt32(0, FifoEvents.Limit - 1, "a port");
        uint virq = reader.UInt32(0, Virq.Count - 1, "a virtual IRQ");
        if (Find(port) is not null || vcpu >= Domain.Vcpus.Count)
        {
            throw reader.Error("a port is there twice, or belongs to a processor that isn't there");
        }

        EventChannel channel = Known(port);
        channel.State = state;
        channel.Vcpu = vcpu;
        channel.RemoteDomain = remote == Layout.DomidSelf ? Domain.Id : (ushort)remote;
        switch (state)
        {
            case ChannelState.Unbound or ChannelState.Ipi:
                break;
            case ChannelState.Interdomain when remote == Layout.DomidSelf:
                channel.Remote = Domain;
                channel.RemotePort = remotePort;
                break;
            case ChannelState.Virq when (vcpu == 0 || !Virq.IsGlobal((int)virq)) && _virqs.TryAdd((vcpu, (int)virq), port):
                channel.Virq = (int)virq;
                break;
            default:
                channel.Reset();
                throw reader.Error("a port is what none can be");
        }
    }

    private FifoEvents RestoreFifo(SectionReader reader)
    {
        var fifo = new FifoEvents(Domain);
        Volatile.Write(ref _abi, fifo);
        int blocks = reader.Count(Domain.Vcpus.Count, BlockBytes, "control blocks");
        for (int i = 0; i < blocks; i++)
        {
            uint vcpu = reader.UInt32(0, (uint)Domain.Vcpus.Count - 1, "a processor"), frame = reader.UInt32();
            uint offset = reader.UInt32(0, Layout.PageSize - FifoEvents.ControlBlockSize, "a control block's place");
            if ((offset & 7) != 0 || fifo.Blocks[(int)vcpu] is not null || !TryTakeFrame(frame, out uint mfn))
            {
                throw reader.Error("a control block lies where none can be");
            }

            fifo.TryAddBlock((int)vcpu, mfn, offset);
            foreach (ref uint tail in fifo.Blocks[(int)vcpu]!.Tails.AsSpan())
            {
                tail = reader.UInt32(0, FifoEvents.Limit - 1, "a queue's last port");
            }
        }

        int pages = reader.Count(FifoEvents.Limit / FifoEvents.WordsPerPage, sizeof(uint), "pages of event words");
        for (int i = 0; i < pages; i++)
        {
            if (!TryTakeFrame(reader.UInt32(), out uint mfn))
            {
                throw reader.Error("event words lie where none can be");
            }

            fifo.TryAddPage(mfn);
        }

        if (fifo.Blocks.Any(block => block is not null && block.Tails.Any(tail => tail >= fifo.Words && tail != 0)))
        {
            throw reader.Error("a queue ends with a port that has no event word");
        }

        int known = reader.Count(FifoEvents.Limit, FifoChannelBytes, "ports");
        for (int i = 0; i < known; i++)
        {
            EventChannel channel = Known(reader.UInt32(1, FifoEvents.Limit - 1, "a port"));
            channel.Priority = (int)reader.UInt32(0, FifoEvents.Queues - 1, "a priority");
            channel.QueueVcpu = reader.UInt16();
            channel.QueuePriority = (int)reader.UInt32(0, FifoEvents.Queues - 1, "a priority");
            channel.IsLatched = reader.Flag();
            if (channel.QueueVcpu >= Domain.Vcpus.Count)
            {
                throw reader.Error("a port was on the queue of a processor that isn't there");
            }
        }

        return fifo;
    }

    private EventChannel Known(uint port)
    {
        if (port >= _ports.Length)
        {
            Array.Resize(ref _ports, (int)System.Numerics.BitOperations.RoundUpToPowerOf2(port + 1));
        }

        return _ports[port] ??= new EventChannel();
    }

    // The two ends of a channel within the domain name each other.
    private void CheckPairs(SectionReader reader)
    {
        foreach (uint port in InUse())
        {
            EventChannel channel = _ports[port]!;
            if (channel.State == ChannelState.Interdomain
                && (Find(channel.RemotePort) is not { State: ChannelState.Interdomain } other || other.RemotePort != port))
            {
                throw reader.Error("a port leads to one that doesn't lead back");
            }
        }
    }
}

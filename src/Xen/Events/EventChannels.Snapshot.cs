using System.Globalization;
using Dbt.Xen.Abi;
using Dbt.Xen.Snapshot;

namespace Dbt.Xen.Events;

/// <content>
/// Going on elsewhere. What is pending and masked lies in memory that the guest shares; here is what each port is. A port that a back end of this
/// process is connected to waits for one in what is saved: the back ends come back to it.
/// </content>
public sealed partial class EventChannels
{
    private const int ChannelBytes = 21;

    /// <summary>Writes all ports in use.</summary>
    /// <exception cref="SnapshotException">One leads to another domain.</exception>
    internal void Capture(SectionWriter writer)
    {
        lock (_lock)
        {
            List<uint> ports = [.. InUse()];
            writer.UInt32((uint)ports.Count);
            foreach (uint port in ports)
            {
                Capture(writer, port, Find(port)!);
            }
        }
    }

    /// <summary>Takes them up, in a domain whose ports are free.</summary>
    internal void Restore(SectionReader reader)
    {
        int count = reader.Count(SharedEventBits.Ports, ChannelBytes, "event channels");
        lock (_lock)
        {
            try
            {
                for (int i = 0; i < count; i++)
                {
                    RestorePort(reader);
                }

                CheckPairs(reader);
                reader.End();
            }
            catch (SnapshotException)
            {
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
        uint port = reader.UInt32(1, SharedEventBits.Ports - 1, "a port");
        var state = (ChannelState)reader.UInt32();
        byte vcpu = reader.Byte();
        uint remote = reader.UInt32(0, Layout.DomidSelf, "a domain id");
        uint remotePort = reader.UInt32(0, SharedEventBits.Ports - 1, "a port");
        uint virq = reader.UInt32(0, Virq.Count - 1, "a virtual IRQ");
        if (Find(port) is not null || vcpu >= Domain.Vcpus.Count)
        {
            throw reader.Error("a port is there twice, or belongs to a processor that isn't there");
        }

        EventChannel channel = _ports[port] ??= new EventChannel();
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

namespace Dbt.Devices.Network.Switch;

/// <summary>
/// An Ethernet switch within this process: learns where addresses are, sends frames to several receivers, and those to unknown ones, to all
/// other ports. A slow port stalls nobody: frames wait for it in a queue of its own, and are dropped where that is full. For guests of
/// several processes see <see cref="SharedSwitchPort"/>. Thread-safe.
/// </summary>
public sealed class VirtualSwitch
{
    private readonly AddressTable<SwitchPort> _addresses;
    private readonly Lock _lock = new();
    private volatile SwitchPort[] _ports = [];

    /// <summary>Makes a switch without ports.</summary>
    public VirtualSwitch()
        : this(null)
    {
    }

    /// <summary>For tests: with their own clock, in milliseconds.</summary>
    internal VirtualSwitch(Func<long>? clock) => _addresses = new AddressTable<SwitchPort>(clock);

    /// <summary>Ports in use.</summary>
    public int Ports => _ports.Length;

    /// <summary>Adds a port; it goes when it is disposed.</summary>
    public SwitchPort AddPort()
    {
        var port = new SwitchPort(this);
        lock (_lock)
        {
            _ports = [.. _ports, port];
        }

        return port;
    }

    /// <summary>Sends a frame on that came in at a port.</summary>
    internal void Forward(SwitchPort from, ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        _addresses.Learn(MacAddress.Read(frame[MacAddress.Length..]), from);
        MacAddress destination = MacAddress.Read(frame);
        if (!destination.IsMulticast && _addresses.TryFind(destination, out SwitchPort? port))
        {
            if (port != from)
            {
                port!.Deliver(frame, offload);
            }

            return;
        }

        foreach (SwitchPort other in _ports)
        {
            if (other != from)
            {
                other.Deliver(frame, offload);
            }
        }
    }

    /// <summary>Takes a port out.</summary>
    internal void Remove(SwitchPort port)
    {
        lock (_lock)
        {
            _ports = Array.FindAll(_ports, other => other != port);
        }

        _addresses.Forget(port);
    }
}

using System.Globalization;

namespace Dbt.Xen.Events;

/// <content>What reports tell of a domain's events.</content>
public sealed partial class EventChannels
{
    private long _fromBackends;

    /// <summary>Events that back ends sent to this domain so far.</summary>
    internal long FromBackends => Interlocked.Read(ref _fromBackends);

    /// <summary>Whether a port in use isn't masked.</summary>
    internal bool HasOpenPort
    {
        get
        {
            lock (_lock)
            {
                return InUse().Any(port => !_abi.IsMasked(port));
            }
        }
    }

    /// <summary>The last events, newest first: port, and system time in nanoseconds.</summary>
    internal List<(uint Port, long At)> Recent()
    {
        lock (_lock)
        {
            return _recent.Recent();
        }
    }

    /// <summary>A port, and what it is for: <c>port 3 (timer of VCPU 0)</c>.</summary>
    internal string Describe(uint port)
    {
        lock (_lock)
        {
            string use = Find(port) is { } channel ? Use(port, channel) : "closed";
            return string.Create(CultureInfo.InvariantCulture, $"port {port} ({use})");
        }
    }

    /// <summary>All ports in use, with what they are for and whether they are masked or pending.</summary>
    internal List<string> DescribeAll()
    {
        lock (_lock)
        {
            return [.. InUse().Select(port => Describe(port) + (_abi.IsMasked(port) ? " masked" : "") + (_abi.IsPending(port) ? " pending" : ""))];
        }
    }

    private IEnumerable<uint> InUse()
    {
        for (uint port = 1; port < _ports.Length; port++)
        {
            if (Find(port) is not null)
            {
                yield return port;
            }
        }
    }

    private string Use(uint port, EventChannel channel) => channel.State switch
    {
        _ when port == Domain.StorePort => "xenstore",
        _ when port == Domain.ConsolePort => "console",
        ChannelState.Virq when channel.Virq == Virq.Timer => string.Create(CultureInfo.InvariantCulture, $"timer of VCPU {channel.Vcpu}"),
        ChannelState.Virq => string.Create(CultureInfo.InvariantCulture, $"virtual IRQ {channel.Virq}"),
        ChannelState.Ipi => string.Create(CultureInfo.InvariantCulture, $"IPI of VCPU {channel.Vcpu}"),
        ChannelState.Interdomain when channel.Backend is not null => "device",
        ChannelState.Interdomain => string.Create(CultureInfo.InvariantCulture, $"domain {channel.RemoteDomain}"),
        _ => "nobody connected",
    };
}

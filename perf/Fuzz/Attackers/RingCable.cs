using Dbt.Devices.Network;

namespace Dbt.Perf.Fuzz.Attackers;

/// <summary>The other end of an attacker's network card: looks at what comes, and sends what it is told.</summary>
internal sealed class RingCable : INetworkBackend
{
    // A header, and what TCP segmentation takes.
    private const int LongestFrame = 65_549;
    private volatile INetworkEnd? _guest;
    private long _frames;

    /// <inheritdoc/>
    public event Action? RoomAvailable
    {
        add { }
        remove { }
    }

    /// <inheritdoc/>
    public LinkFeatures Features => new(true, true, true);

    /// <summary>Frames that came.</summary>
    public long Frames => Interlocked.Read(ref _frames);

    /// <summary>What of it was not as it has to be; null for nothing.</summary>
    public string? Problem { get; private set; }

    /// <inheritdoc/>
    public void Connect(INetworkEnd guest) => _guest = guest;

    /// <inheritdoc/>
    public bool Send(ReadOnlySpan<byte> frame, FrameOffload offload)
    {
        Interlocked.Increment(ref _frames);
        if (frame.Length is < 14 or > LongestFrame)
        {
            Problem = $"a frame of {frame.Length} bytes";
        }

        if (frame.IndexOf("neighbours-secret"u8) >= 0)
        {
            Problem = "a frame holds the neighbour's secret";
        }

        return true;
    }

    /// <summary>Sends a frame to the card.</summary>
    public void SendToGuest(ReadOnlySpan<byte> frame) => _guest?.Send(frame, default);

    /// <inheritdoc/>
    public void Dispose() => _guest = null;
}

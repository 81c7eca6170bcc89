namespace Dbt.Devices.Network.Frontend;

/// <summary>What a card has sent and got. Thread-safe.</summary>
internal sealed class VifCounters
{
    private long _transmittedFrames, _transmittedBytes, _transmitErrors, _receivedFrames, _receivedBytes, _receiveDrops;

    /// <summary>The counts now.</summary>
    public NetworkTraffic Traffic => new(
        Volatile.Read(ref _transmittedFrames), Volatile.Read(ref _transmittedBytes), Volatile.Read(ref _transmitErrors),
        Volatile.Read(ref _receivedFrames), Volatile.Read(ref _receivedBytes), Volatile.Read(ref _receiveDrops));

    /// <summary>Counts a frame of the guest.</summary>
    public void CountTransmitted(int bytes)
    {
        Interlocked.Increment(ref _transmittedFrames);
        Interlocked.Add(ref _transmittedBytes, bytes);
    }

    /// <summary>Counts a frame of the guest that wasn't sent.</summary>
    public void CountTransmitError() => Interlocked.Increment(ref _transmitErrors);

    /// <summary>Counts a frame to the guest.</summary>
    public void CountReceived(int bytes)
    {
        Interlocked.Increment(ref _receivedFrames);
        Interlocked.Add(ref _receivedBytes, bytes);
    }

    /// <summary>Counts a frame to the guest that was dropped.</summary>
    public void CountReceiveDrop() => Interlocked.Increment(ref _receiveDrops);
}

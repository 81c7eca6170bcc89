using System.Diagnostics;

namespace Dbt.Devices.Network.Frontend;

/// <summary>
/// A guest's allowance for sending: refilled at the start of each interval, as netback does. A frame larger than the allowance goes once
/// the allowance is full. Thread-safe.
/// </summary>
internal sealed class TokenBucket(NetworkRate rate, Func<long>? clock = null)
{
    private readonly Lock _lock = new();
    private readonly Func<long> _clock = clock ?? Stopwatch.GetTimestamp;
    private readonly long _interval = Math.Max(1, (long)(rate.Interval.TotalSeconds * Stopwatch.Frequency));
    private long _tokens = Clamp(rate.Bytes);
    private long _refilled = (clock ?? Stopwatch.GetTimestamp)();

    /// <summary>Takes a frame's bytes out of the allowance.</summary>
    /// <returns>Null where there was enough; else how long to wait before asking again.</returns>
    public TimeSpan? Take(int bytes)
    {
        lock (_lock)
        {
            long now = _clock();
            long full = Clamp(rate.Bytes);
            if (now - _refilled >= _interval)
            {
                _refilled = now - ((now - _refilled) % _interval);
                _tokens = full;
            }

            if (_tokens >= bytes || _tokens == full)
            {
                _tokens = Math.Max(0, _tokens - bytes);
                return null;
            }

            return TimeSpan.FromSeconds((double)(_refilled + _interval - now) / Stopwatch.Frequency);
        }
    }

    private static long Clamp(ulong bytes) => (long)Math.Min(bytes, long.MaxValue);
}

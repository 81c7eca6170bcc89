using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Time;

/// <summary>
/// What a guest reads of time without a hypercall: vcpu_time_info and the wall clock. The time-stamp counter counts nanoseconds of
/// system time, so a record stays exact; it is renewed all the same, because guests expect it to move.
/// </summary>
internal static unsafe class SharedTime
{
    /// <summary>Age in nanoseconds after which a record is renewed before an upcall.</summary>
    public const long RenewAfter = 1_000_000_000;

    /// <summary>Counter frequency that CPUID and the time records tell.</summary>
    public const uint TscKilohertz = 1_000_000;

    // ns = ((tsc << 1) * 0x80000000) >> 32: one tick is one nanosecond.
    private const uint Multiplier = 0x80000000;
    private const sbyte Shift = 1;
    private const byte TscStable = 1;

    /// <summary>tsc_to_system_mul and tsc_shift, for CPUID.</summary>
    public static (uint Multiplier, sbyte Shift) Scale => (Multiplier, Shift);

    /// <summary>Renews a processor's record, and the copy that it registered. On the processor's own thread, or before it starts.</summary>
    public static void Update(Vcpu vcpu)
    {
        long now = vcpu.Domain.Clock.Now;
        vcpu.TimeUpdatedAt = now;
        byte* time = vcpu.Info + SharedInfoLayout.TimeInfo;
        uint version = Volatile.Read(ref *(uint*)time) | 1;
        Volatile.Write(ref *(uint*)time, version);
        Interlocked.MemoryBarrier();
        *(ulong*)(time + 8) = (ulong)now;
        *(ulong*)(time + 16) = (ulong)now;
        *(uint*)(time + 24) = Multiplier;
        time[28] = (byte)Shift;
        time[29] = TscStable;
        Interlocked.MemoryBarrier();
        Volatile.Write(ref *(uint*)time, version + 1);
        if (vcpu.SecondaryTimeArea != 0)
        {
            // Guests that register a copy accept that an unmapped one is not written.
            var copy = new ReadOnlySpan<byte>(time, SharedInfoLayout.TimeInfoSize);
            GuestAccess.TryWrite(vcpu, vcpu.SecondaryTimeArea, copy);
        }
    }

    /// <summary>Writes the wall clock: the moment at which system time was 0.</summary>
    public static void UpdateWallclock(Domain domain)
    {
        long unix = (DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100 - domain.Clock.Now;
        byte* page = domain.SharedInfo;
        uint version = Volatile.Read(ref *(uint*)(page + SharedInfoLayout.WallclockVersion)) | 1;
        Volatile.Write(ref *(uint*)(page + SharedInfoLayout.WallclockVersion), version);
        Interlocked.MemoryBarrier();
        long seconds = unix / 1_000_000_000;
        *(uint*)(page + SharedInfoLayout.WallclockSeconds) = (uint)seconds;
        *(uint*)(page + SharedInfoLayout.WallclockNanoseconds) = (uint)(unix % 1_000_000_000);
        *(uint*)(page + SharedInfoLayout.WallclockSecondsHigh) = (uint)(seconds >> 32);
        Interlocked.MemoryBarrier();
        Volatile.Write(ref *(uint*)(page + SharedInfoLayout.WallclockVersion), version + 1);
    }
}

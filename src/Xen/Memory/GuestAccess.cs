using System.Runtime.CompilerServices;

namespace Dbt.Xen.Memory;

/// <summary>
/// The one checked way from a hypercall to guest memory by linear address (copy_from_guest, copy_to_guest): supervisor rights,
/// nothing at or above the hypervisor's start, faults give false, partial copies are possible before a fault.
/// Each value is fetched once.
/// </summary>
public static unsafe class GuestAccess
{
    /// <summary>Copies from the guest.</summary>
    public static bool TryRead(Vcpu vcpu, uint linear, Span<byte> destination) => throw new NotImplementedException();

    /// <summary>Copies to the guest, telling the code map.</summary>
    public static bool TryWrite(Vcpu vcpu, uint linear, ReadOnlySpan<byte> source) => throw new NotImplementedException();

    /// <summary>Reads one structure.</summary>
    public static bool TryRead<T>(Vcpu vcpu, uint linear, out T value)
        where T : unmanaged
    {
        Unsafe.SkipInit(out value);
        return TryRead(vcpu, linear, new Span<byte>(Unsafe.AsPointer(ref value), sizeof(T)));
    }

    /// <summary>Writes one structure.</summary>
    public static bool TryWrite<T>(Vcpu vcpu, uint linear, in T value)
        where T : unmanaged
    {
        T copy = value;
        return TryWrite(vcpu, linear, new ReadOnlySpan<byte>(&copy, sizeof(T)));
    }
}

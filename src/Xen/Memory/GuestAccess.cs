using System.Runtime.CompilerServices;
using Dbt.Translator;
using Dbt.Translator.Memory;

namespace Dbt.Xen.Memory;

/// <summary>
/// The one checked way from a hypercall to guest memory by linear address (copy_from_guest, copy_to_guest): supervisor rights,
/// nothing at or above the hypervisor's start (which a translated guest has none of), faults give false, partial copies are possible before a fault.
/// Each value is fetched once.
/// </summary>
public static unsafe class GuestAccess
{
    /// <summary>
    /// Whether an array of a guest's lies wholly in what is the guest's of the linear address space; says nothing of what is mapped there.
    /// </summary>
    /// <param name="vcpu">Whose address space.</param>
    /// <param name="linear">First byte.</param>
    /// <param name="count">Elements.</param>
    /// <param name="size">Bytes of an element.</param>
    public static bool IsInRange(Vcpu vcpu, uint linear, ulong count, uint size) =>
        count <= uint.MaxValue && linear + (count * size) <= vcpu.LinearEnd;

    /// <summary>Copies from the guest.</summary>
    public static bool TryRead(Vcpu vcpu, uint linear, Span<byte> destination)
    {
        if (!IsInRange(vcpu, linear, (ulong)destination.Length, 1))
        {
            return false;
        }

        while (destination.Length > 0)
        {
            if (!TryHost(vcpu, linear, MemoryAccess.Read, out byte* host))
            {
                return false;
            }

            int count = Math.Min(destination.Length, 4096 - (int)(linear & 0xFFF));
            new ReadOnlySpan<byte>(host, count).CopyTo(destination);
            destination = destination[count..];
            linear += (uint)count;
        }

        return true;
    }

    /// <summary>Copies to the guest, telling the code map.</summary>
    public static bool TryWrite(Vcpu vcpu, uint linear, ReadOnlySpan<byte> source)
    {
        if (!IsInRange(vcpu, linear, (ulong)source.Length, 1))
        {
            return false;
        }

        CodeMap code = vcpu.CodeMap;
        while (source.Length > 0)
        {
            if (!TryHost(vcpu, linear, MemoryAccess.Write, out byte* host))
            {
                return false;
            }

            int count = Math.Min(source.Length, 4096 - (int)(linear & 0xFFF));
            source[..count].CopyTo(new Span<byte>(host, count));
            // Not every caller is in guest code just now, so that the address may be older than the last round of the dirty log.
            if (code.Watches(host))
            {
                code.Written(host, count);
            }

            source = source[count..];
            linear += (uint)count;
        }

        return true;
    }

    /// <summary>Reads one structure.</summary>
    public static bool TryRead<T>(Vcpu vcpu, uint linear, out T value)
        where T : unmanaged
    {
        // Wholly inside one page, in the TLB: one copy and no loop.
        if ((linear & 0xFFF) + (uint)sizeof(T) <= 4096 && linear < vcpu.LinearEnd
            && TryHost(vcpu, linear, MemoryAccess.Read, out byte* host))
        {
            value = Unsafe.ReadUnaligned<T>(host);
            return true;
        }

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

    private static bool TryHost(Vcpu vcpu, uint linear, MemoryAccess access, out byte* host)
    {
        nint root = vcpu.State->TlbRoot;
        if (root != 0)
        {
            long entry = Volatile.Read(ref *(long*)(root + ((nint)access * SoftwareTlb.TableBytes) + ((nint)(linear >> 12) * 8)));
            if (entry != 0)
            {
                host = (byte*)(entry + linear);
                return true;
            }
        }

        return vcpu.TryResolveSupervisor(linear, access, out host);
    }
}

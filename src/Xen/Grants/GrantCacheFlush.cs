using System.Runtime.InteropServices;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Grants;

/// <summary>
/// GNTTABOP_cache_flush: caches are coherent here, so there is nothing to write back; what makes no sense is refused as Xen does it on x86, where invalidating alone isn't there.
/// </summary>
internal static unsafe class GrantCacheFlush
{
    private const uint Clean = 1, Invalidate = 2, SourceByReference = 1u << 31;

    /// <summary>struct gnttab_cache_flush, 16 bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct Request
    {
        public ulong Address;
        public ushort Offset, Length;
        public uint Operation;
    }

    /// <summary>ECX requests, EDX count.</summary>
    public static int Flush(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint size = (uint)sizeof(Request);
        if (!GuestAccess.IsInRange(vcpu, arguments.A2, arguments.A3, size))
        {
            return -EFAULT;
        }

        for (uint i = 0; i < arguments.A3; i++)
        {
            uint at = arguments.A2 + (i * size);
            if (i != 0 && MemoryHypercall.ShouldStop(vcpu))
            {
                vcpu.Continuation = arguments with { A2 = at, A3 = arguments.A3 - i };
                return 0;
            }

            if (!GuestAccess.TryRead(vcpu, at, out Request request))
            {
                return -EFAULT;
            }

            int error = Check(vcpu, request);
            if (error != 0)
            {
                return error;
            }
        }

        return 0;
    }

    private static int Check(Vcpu vcpu, in Request request)
    {
        if (request.Offset + request.Length > Abi.Layout.PageSize || (request.Operation & ~(Clean | Invalidate | SourceByReference)) != 0)
        {
            return -EINVAL;
        }

        if (request.Length == 0 || request.Operation == 0)
        {
            return 0;
        }

        ulong frame = request.Address >> 12;
        if ((request.Operation & SourceByReference) != 0 || (request.Operation & Clean) == 0)
        {
            return -EOPNOTSUPP;
        }

        Domain domain = vcpu.Domain;
        return frame > uint.MaxValue || !(domain.Memory.Owns((uint)frame) || domain.Grants.MapsForeign((uint)frame)) ? -EPERM : 0;
    }
}

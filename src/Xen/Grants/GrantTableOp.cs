using System.Runtime.InteropServices;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Grants;

/// <summary>
/// HYPERVISOR_grant_table_op (public/grant_table.h). Transfers of pages between domains (GNTTABOP_transfer, which Linux dropped long ago) are not there: each is refused with the status that says
/// the page stays.
/// </summary>
internal static unsafe class GrantTableOp
{
    private const uint MapReference = 0, UnmapReference = 1, SetupTable = 2, Transfer = 4, Copy = 5, QuerySize = 6, UnmapAndReplace = 7,
        SetVersion = 8, GetStatusFrames = 9, GetVersion = 10, SwapReference = 11, CacheFlush = 12;

    private delegate void Operation<T>(Vcpu vcpu, ref T request);

    /// <summary>struct gnttab_setup_table, 16 bytes; its status at 8.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct SetupRequest
    {
        public ushort Domain, Padding;
        public uint FrameCount;
        public GrantStatus Status;
        public ushort Padding2;
        public uint FrameList;
    }

    /// <summary>struct gnttab_query_size, 16 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct QueryRequest
    {
        public ushort Domain, Padding;
        public uint FrameCount, MaxFrameCount;
        public GrantStatus Status;
        public ushort Padding2;
    }

    /// <summary>struct gnttab_transfer, 16 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct TransferRequest
    {
        public uint Mfn;
        public ushort Domain, Padding;
        public uint Reference;
        public GrantStatus Status;
        public ushort Padding2;
    }

    /// <summary>struct gnttab_swap_grant_ref, 12 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct SwapRequest
    {
        public uint First, Second;
        public GrantStatus Status;
        public ushort Padding;
    }

    /// <summary>struct gnttab_get_status_frames, 12 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct StatusFramesRequest
    {
        public uint FrameCount;
        public ushort Domain;
        public GrantStatus Status;
        public uint FrameList;
    }

    /// <summary>EBX command, ECX requests, EDX count.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint requests = arguments.A2, count = arguments.A3;
        return (int)count < 0
            ? -EINVAL
            : arguments.A1 switch
            {
                MapReference => Each<GrantMap.MapRequest>(vcpu, arguments, GrantMap.Map),
                UnmapReference => Each(vcpu, arguments, static (Vcpu vcpu, ref GrantMap.UnmapRequest request) =>
                    request.Status = GrantMap.Unmap(vcpu, request.HostAddress, request.OtherAddress, 0, request.Handle)),
                UnmapAndReplace => Each(vcpu, arguments, static (Vcpu vcpu, ref GrantMap.UnmapRequest request) =>
                    request.Status = GrantMap.Unmap(vcpu, request.HostAddress, 0, request.OtherAddress, request.Handle)),
                Copy => Each(vcpu, arguments, static (Vcpu vcpu, ref GrantCopy.Request request) =>
                    request.Status = GrantCopy.Copy(vcpu, request)),
                SwapReference => Each(vcpu, arguments, static (Vcpu vcpu, ref SwapRequest request) =>
                    request.Status = vcpu.Domain.Grants.Swap(request.First, request.Second)),
                Transfer => Each(vcpu, arguments, static (Vcpu vcpu, ref TransferRequest request) =>
                    request.Status = GrantStatus.BadPage),
                SetupTable => count == 1 ? Setup(vcpu, requests) : -EINVAL,
                QuerySize => count == 1 ? Query(vcpu, requests) : -EINVAL,
                GetStatusFrames => count == 1 ? StatusFrames(vcpu, requests) : -EINVAL,
                SetVersion => ChangeVersion(vcpu, requests),
                GetVersion => Version(vcpu, requests),
                CacheFlush => GrantCacheFlush.Flush(vcpu, arguments),
                _ => -ENOSYS,
            };
    }

    // Each request is copied in once, carried out, and copied back with its status.
    private static int Each<T>(Vcpu vcpu, in HypercallArguments arguments, Operation<T> operation)
        where T : unmanaged
    {
        uint count = arguments.A3, size = (uint)sizeof(T);
        if (!GuestAccess.IsInRange(vcpu, arguments.A2, count, size))
        {
            return -EFAULT;
        }

        for (uint i = 0; i < count; i++)
        {
            uint at = arguments.A2 + (i * size);
            if (i != 0 && MemoryHypercall.ShouldStop(vcpu))
            {
                vcpu.Continuation = arguments with { A2 = at, A3 = count - i };
                return 0;
            }

            if (!GuestAccess.TryRead(vcpu, at, out T request))
            {
                return -EFAULT;
            }

            operation(vcpu, ref request);
            if (!GuestAccess.TryWrite(vcpu, at, request))
            {
                return -EFAULT;
            }
        }

        return 0;
    }

    private static GrantStatus CheckDomain(Vcpu vcpu, ushort id) => MemoryHypercall.CheckDomain(vcpu, id) switch
    {
        0 => GrantStatus.Okay,
        -EPERM => GrantStatus.PermissionDenied,
        _ => GrantStatus.BadDomain,
    };

    private static int Setup(Vcpu vcpu, uint pointer)
    {
        if (!GuestAccess.TryRead(vcpu, pointer, out SetupRequest request)
            || !GuestAccess.IsInRange(vcpu, request.FrameList, request.FrameCount, 4))
        {
            return -EFAULT;
        }

        request.Status = CheckDomain(vcpu, request.Domain);
        if (request.Status == GrantStatus.Okay)
        {
            Span<uint> frames = stackalloc uint[GrantTable.MaxFrames];
            if (request.FrameCount > vcpu.Domain.Grants.HighestFrames || !vcpu.Domain.Grants.TrySetup((int)request.FrameCount, frames))
            {
                request.Status = GrantStatus.GeneralError;
            }
            else if (!TryReportFrames(vcpu, request.FrameList, frames[..(int)request.FrameCount]))
            {
                request.Status = GrantStatus.BadVirtualAddress;
            }
        }

        return GuestAccess.TryWrite(vcpu, pointer + 8, (ushort)request.Status) ? 0 : -EFAULT;
    }

    private static bool TryReportFrames(Vcpu vcpu, uint list, Span<uint> frames)
    {
        if (vcpu.Domain.Hvm is { } hvm)
        {
            // The numbers that the guest knows them by.
            foreach (ref uint frame in frames)
            {
                frame = hvm.Physmap.GfnOf(frame);
            }
        }

        return GuestAccess.TryWrite(vcpu, list, MemoryMarshal.AsBytes(frames));
    }

    private static int Query(Vcpu vcpu, uint pointer)
    {
        if (!GuestAccess.TryRead(vcpu, pointer, out QueryRequest request))
        {
            return -EFAULT;
        }

        request.Status = CheckDomain(vcpu, request.Domain);
        if (request.Status == GrantStatus.Okay)
        {
            request.FrameCount = (uint)vcpu.Domain.Grants.FrameCount;
            request.MaxFrameCount = (uint)vcpu.Domain.Grants.HighestFrames;
        }

        return GuestAccess.TryWrite(vcpu, pointer, request) ? 0 : -EFAULT;
    }

    private static int StatusFrames(Vcpu vcpu, uint pointer)
    {
        const uint StatusOffset = 6;
        if (!GuestAccess.TryRead(vcpu, pointer, out StatusFramesRequest request)
            || !GuestAccess.IsInRange(vcpu, request.FrameList, request.FrameCount, 8))
        {
            return -EFAULT;
        }

        GrantStatus status = CheckDomain(vcpu, request.Domain);
        if (status == GrantStatus.Okay)
        {
            Span<ulong> frames = stackalloc ulong[GrantTable.MaxFrames];
            status = request.FrameCount > GrantTable.MaxFrames || !vcpu.Domain.Grants.TryGetStatusFrames(frames[..(int)request.FrameCount]) ? GrantStatus.GeneralError
                : TryReportStatusFrames(vcpu, request.FrameList, frames[..(int)request.FrameCount]) ? GrantStatus.Okay
                : GrantStatus.BadVirtualAddress;
        }

        return GuestAccess.TryWrite(vcpu, pointer + StatusOffset, (ushort)status) ? 0 : -EFAULT;
    }

    private static bool TryReportStatusFrames(Vcpu vcpu, uint list, Span<ulong> frames)
    {
        if (vcpu.Domain.Hvm is { } hvm)
        {
            foreach (ref ulong frame in frames)
            {
                uint known = hvm.Physmap.GfnOf((uint)frame);
                frame = known == uint.MaxValue ? ulong.MaxValue : known;
            }
        }

        return GuestAccess.TryWrite(vcpu, list, MemoryMarshal.AsBytes(frames));
    }

    private static int ChangeVersion(Vcpu vcpu, uint pointer)
    {
        if (!GuestAccess.TryRead(vcpu, pointer, out uint version))
        {
            return -EFAULT;
        }

        int error = vcpu.Domain.Grants.SetVersion(version);
        return GuestAccess.TryWrite(vcpu, pointer, (uint)vcpu.Domain.Grants.Version) ? error : -EFAULT;
    }

    private static int Version(Vcpu vcpu, uint pointer)
    {
        if (!GuestAccess.TryRead(vcpu, pointer, out ushort id))
        {
            return -EFAULT;
        }

        int error = MemoryHypercall.CheckDomain(vcpu, id);
        return error != 0 ? error : GuestAccess.TryWrite(vcpu, pointer + 4, (uint)vcpu.Domain.Grants.Version) ? 0 : -EFAULT;
    }
}

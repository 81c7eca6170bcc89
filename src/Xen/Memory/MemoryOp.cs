using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Hvm;
using Dbt.Xen.Hypercalls;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <summary>
/// HYPERVISOR_memory_op (public/memory.h). The command's bits from 6 on hold how many extents an interrupted call has done. What belongs
/// to translated guests only (add_to_physmap and its kin) is refused as Xen refuses it to a paravirtual one.
/// </summary>
internal static unsafe class MemoryOp
{
    private const int CommandBits = 6;
    private const uint IncreaseReservation = 0, DecreaseReservation = 1, MaximumRamPage = 2, CurrentReservation = 3, MaximumReservation = 4,
        MachinePhysFrameList = 5, PopulatePhysmap = 6, AddToPhysmap = 7, MemoryMap = 9, MachineMemoryMap = 10, Exchange = 11,
        MachinePhysMapping = 12, SetMemoryMap = 13, MaximumPfn = 14, RemoveFromPhysmap = 15, AddToPhysmapBatch = 23, ClaimPages = 24,
        MachinePhysCompatFrameList = 25, AcquireResource = 28;

    private const uint SpaceRange = 3, SpaceForeign = 4;

    /// <summary>EBX command, ECX its argument's address.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint command = arguments.A1 & ((1u << CommandBits) - 1), start = arguments.A1 >> CommandBits, argument = arguments.A2;
        DomainMemory memory = vcpu.Domain.Memory;
        switch (command)
        {
            case IncreaseReservation or DecreaseReservation or PopulatePhysmap:
                return Reservation(vcpu, arguments, command, start);
            case Exchange when vcpu.Hvm is not null:
                return -EOPNOTSUPP;
            case Exchange:
                return start != 0 ? -EINVAL : MemoryExchange.Call(vcpu, arguments);
            case MaximumRamPage:
                return start != 0 ? -EINVAL : (int)vcpu.Domain.Hypervisor.Machine.FrameCount;
            case CurrentReservation:
                return OfDomain(vcpu, argument, start) is var error and < 0 ? error : (int)memory.PageCount;
            case MaximumReservation:
                return OfDomain(vcpu, argument, start) is var refused and < 0 ? refused : (int)memory.MaxPages;
            case MaximumPfn:
                return OfDomain(vcpu, argument, start) is var failed and < 0 ? failed : (int)MaximumPseudoPhysical(vcpu);
            case MemoryMap:
                return MemoryMaps.Copy(vcpu, argument);
            case SetMemoryMap:
                return -EPERM;
            case MachineMemoryMap:
                return -EPERM;
            case MachinePhysMapping or MachinePhysFrameList or MachinePhysCompatFrameList when vcpu.Hvm is not null:
                return -ENOSYS;
            case MachinePhysMapping:
                return Mapping(vcpu, argument);
            case MachinePhysFrameList or MachinePhysCompatFrameList:
                return FrameList(vcpu, argument);
            case AddToPhysmap:
                return vcpu.Hvm is null ? RefusePhysmap(vcpu, argument) : PhysmapOp.Add(vcpu, argument);
            case AddToPhysmapBatch:
                return vcpu.Hvm is null ? RefusePhysmap(vcpu, argument) : PhysmapOp.AddBatch(vcpu, arguments, start);
            case RemoveFromPhysmap:
                return vcpu.Hvm is null ? RemovePhysmap(vcpu, argument) : PhysmapOp.Remove(vcpu, argument);
            case ClaimPages or AcquireResource:
                return -EPERM;
            default:
                return -ENOSYS;
        }
    }

    /// <summary>struct xen_memory_reservation, 20 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct ReservationArgument
    {
        public uint ExtentStart, ExtentCount, ExtentOrder, Flags, Domain;

        /// <summary>XENMEMF_get_address_bits.</summary>
        public readonly int AddressBits => (int)(Flags & 0xFF);

        public readonly ushort DomainId => (ushort)Domain;
    }

    /// <summary>Largest order a domain without devices may ask for (XSA-31).</summary>
    internal const uint MaximumOrder = 9;

    /// <summary>First frame number that an address width excludes.</summary>
    /// <returns>False for a width that holds no page.</returns>
    internal static bool TryLimit(int addressBits, out uint limit)
    {
        limit = addressBits is 0 or >= 44 ? uint.MaxValue : 1u << Math.Max(addressBits - 12, 0);
        return addressBits is 0 or > 12;
    }

    // The result is the number of extents done, whatever went wrong: a guest learns of a failure by the count.
    private static int Reservation(Vcpu vcpu, in HypercallArguments arguments, uint command, uint start)
    {
        bool sound = GuestAccess.TryRead(vcpu, arguments.A2, out ReservationArgument reservation)
            && reservation.ExtentCount <= uint.MaxValue >> CommandBits && start < reservation.ExtentCount
            && MemoryHypercall.CheckDomain(vcpu, reservation.DomainId) == 0
            && TryLimit(reservation.AddressBits, out _)
            && (reservation.ExtentStart == 0 || GuestAccess.IsInRange(vcpu, reservation.ExtentStart, reservation.ExtentCount, 4))
            && reservation.ExtentOrder <= MaximumOrder;
        if (!sound)
        {
            return (int)start;
        }

        uint done = start;
        while (done < reservation.ExtentCount)
        {
            if (done != start && MemoryHypercall.ShouldStop(vcpu))
            {
                vcpu.Continuation = arguments with { A1 = command | (done << CommandBits) };
                break;
            }

            if (command == DecreaseReservation && vcpu.Hvm is not null)
            {
                uint wanted = Math.Min(reservation.ExtentOrder == 0 ? DomainMemory.DepopulateAtOnce : 1u, reservation.ExtentCount - done);
                uint gone = Depopulate(vcpu, reservation, done, wanted);
                done += gone;
                if (gone < wanted)
                {
                    break;
                }

                continue;
            }

            bool went = command switch
            {
                PopulatePhysmap when vcpu.Hvm is not null => PopulateTranslated(vcpu, reservation, done),
                _ when vcpu.Hvm is not null => false,
                IncreaseReservation => Increase(vcpu, reservation, done),
                DecreaseReservation => Decrease(vcpu, reservation, done),
                _ => Populate(vcpu, reservation, done),
            };
            if (!went)
            {
                break;
            }

            done++;
        }

        return (int)done;
    }

    private static bool Increase(Vcpu vcpu, in ReservationArgument reservation, uint index)
    {
        _ = TryLimit(reservation.AddressBits, out uint limit);
        return vcpu.Domain.Memory.TryAddPages((int)reservation.ExtentOrder, limit, out uint mfn)
            && (reservation.ExtentStart == 0 || GuestAccess.TryWrite(vcpu, reservation.ExtentStart + (index * 4), mfn));
    }

    private static bool Decrease(Vcpu vcpu, in ReservationArgument reservation, uint index)
    {
        if (!GuestAccess.TryRead(vcpu, reservation.ExtentStart + (index * 4), out uint mfn))
        {
            return false;
        }

        for (uint i = 0; i < 1u << (int)reservation.ExtentOrder; i++)
        {
            if (!vcpu.Domain.Memory.TryReleasePage((ulong)mfn + i))
            {
                return false;
            }
        }

        return true;
    }

    private static bool Populate(Vcpu vcpu, in ReservationArgument reservation, uint index)
    {
        const uint PopulateOnDemand = 1 << 16;
        uint slot = reservation.ExtentStart + (index * 4);
        _ = TryLimit(reservation.AddressBits, out uint limit);
        if ((reservation.Flags & PopulateOnDemand) != 0
            || !GuestAccess.TryRead(vcpu, slot, out uint pfn)
            || !vcpu.Domain.Memory.TryAddPages((int)reservation.ExtentOrder, limit, out uint mfn))
        {
            return false;
        }

        for (uint i = 0; i < 1u << (int)reservation.ExtentOrder; i++)
        {
            vcpu.Domain.Hypervisor.MachineToPhys[mfn + i] = pfn + i;
        }

        return GuestAccess.TryWrite(vcpu, slot, mfn);
    }

    /// <summary>Gives extents up, several at once where they are single frames.</summary>
    /// <returns>How many went.</returns>
    private static uint Depopulate(Vcpu vcpu, in ReservationArgument reservation, uint index, uint count)
    {
        DomainMemory memory = vcpu.Domain.Memory;
        Span<uint> gfns = stackalloc uint[DomainMemory.DepopulateAtOnce];
        gfns = gfns[..(int)count];
        if (!GuestAccess.TryRead(vcpu, reservation.ExtentStart + (index * 4), MemoryMarshal.AsBytes(gfns)))
        {
            // A list that ends in the middle is done up to there.
            return count == 1 ? 0 : Depopulate(vcpu, reservation, index, 1);
        }

        if (reservation.ExtentOrder == 0)
        {
            return (uint)memory.Depopulate(gfns);
        }

        for (uint i = 0; i < 1u << (int)reservation.ExtentOrder; i++)
        {
            if ((ulong)gfns[0] + i > uint.MaxValue || memory.Depopulate([gfns[0] + i]) == 0)
            {
                return 0;
            }
        }

        return 1;
    }

    // The guest sees frames that lie together by their numbers; what machine frames they are is nobody's business.
    private static bool PopulateTranslated(Vcpu vcpu, in ReservationArgument reservation, uint index)
    {
        if (!GuestAccess.TryRead(vcpu, reservation.ExtentStart + (index * 4), out uint gfn))
        {
            return false;
        }

        for (uint i = 0; i < 1u << (int)reservation.ExtentOrder; i++)
        {
            if ((ulong)gfn + i >= Physmap.Count || !vcpu.Domain.Memory.TryPopulate(gfn + i))
            {
                return false;
            }
        }

        return true;
    }

    private static int OfDomain(Vcpu vcpu, uint argument, uint start)
    {
        if (start != 0)
        {
            return -EINVAL;
        }

        return GuestAccess.TryRead(vcpu, argument, out ushort id) ? MemoryHypercall.CheckDomain(vcpu, id) : -EFAULT;
    }

    // The largest PFN in use, which for a paravirtual domain is what its shared_info says (arch.max_pfn, set by the guest).
    private static uint MaximumPseudoPhysical(Vcpu vcpu)
    {
        const int MaxPfnOffset = 0x908;
        Domain domain = vcpu.Domain;
        if (domain.Hvm is { } hvm)
        {
            return hvm.Physmap.Highest;
        }

        uint pages = domain.SharedInfoMfn == 0 ? domain.Memory.PageCount : *(uint*)(domain.SharedInfo + MaxPfnOffset);
        return pages - 1;
    }

    /// <summary>struct xen_machphys_mapping.</summary>
    private static int Mapping(Vcpu vcpu, uint argument)
    {
        Span<uint> mapping =
        [
            Layout.HypervisorStart, Layout.MachineToPhysEnd, ((Layout.MachineToPhysEnd - Layout.HypervisorStart) / 4) - 1,
        ];
        return GuestAccess.TryWrite(vcpu, argument, MemoryMarshal.AsBytes(mapping)) ? 0 : -EFAULT;
    }

    /// <summary>
    /// struct xen_machphys_mfn_list: first frames of the machine-to-phys table's 2-MiB extents. The table lies beyond the machine's
    /// memory; no guest may map it by these numbers, as in Xen none but domain 0 may.
    /// </summary>
    private static int FrameList(Vcpu vcpu, uint argument)
    {
        const uint FramesPerExtent = 512;
        Span<uint> list = stackalloc uint[3];
        if (!GuestAccess.TryRead(vcpu, argument, MemoryMarshal.AsBytes(list)))
        {
            return -EFAULT;
        }

        Hypervisor hypervisor = vcpu.Domain.Hypervisor;
        uint count = Math.Min(list[0], ((hypervisor.MachineToPhysBytes - 1) >> 21) + 1);
        for (uint i = 0; i < count; i++)
        {
            uint first = (hypervisor.Machine.FrameCount + FramesPerExtent) & ~(FramesPerExtent - 1);
            if (!GuestAccess.TryWrite(vcpu, list[1] + (i * 4), first + (i * FramesPerExtent)))
            {
                return -EFAULT;
            }
        }

        list[2] = count;
        return GuestAccess.TryWrite(vcpu, argument, MemoryMarshal.AsBytes(list)) ? 0 : -EFAULT;
    }

    // struct xen_add_to_physmap and its batched kin: for translated guests only.
    private static int RefusePhysmap(Vcpu vcpu, uint argument)
    {
        Span<uint> request = stackalloc uint[4];
        if (!GuestAccess.TryRead(vcpu, argument, MemoryMarshal.AsBytes(request)))
        {
            return -EFAULT;
        }

        if (request[1] is SpaceForeign or SpaceRange)
        {
            return -ENOSYS;
        }

        int error = MemoryHypercall.CheckDomain(vcpu, (ushort)request[0]);
        return error != 0 ? error : -EACCES;
    }

    private static int RemovePhysmap(Vcpu vcpu, uint argument)
    {
        if (!GuestAccess.TryRead(vcpu, argument, out ulong request))
        {
            return -EFAULT;
        }

        int error = MemoryHypercall.CheckDomain(vcpu, (ushort)request);
        return error != 0 ? error : -EACCES;
    }
}

using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Builder;

namespace Dbt.Xen.Snapshot;

/// <summary>
/// What a paravirtual guest that suspends itself and whoever makes it again owe each other, as between Linux and Xen's tools: the guest's first processor
/// has the frame of its start_info in EDX (the third argument of SCHEDOP_shutdown), and shared_info says where the p2m is. It finds start_info renewed.
/// </summary>
internal static unsafe class SuspendedPv
{
    /// <summary>Looks at what a guest that has suspended itself has to say before it can be made again.</summary>
    /// <exception cref="SnapshotException">It doesn't.</exception>
    public static void Check(Domain domain)
    {
        uint startInfo = StartInfoFrame(domain);
        if (!IsPlain(domain, domain.Memory.FindPage(startInfo)))
        {
            throw new SnapshotException($"the guest suspended itself with a start_info in frame {startInfo:x}, where it can have none");
        }

        uint list = *(uint*)(domain.SharedInfo + SharedInfoLayout.FrameListList);
        if (domain.Memory.FindPage(list) == 0)
        {
            throw new SnapshotException("the guest doesn't say where its p2m is (pfn_to_mfn_frame_list_list), so it can't be given other frames; save it live (--kind live)");
        }
    }

    /// <summary>Writes what the guest told by its shared_info to the one that it has now, and rewrites the p2m that it named.</summary>
    /// <param name="domain">The domain; not a translated one, or nothing is done.</param>
    /// <param name="before">The page as it was.</param>
    /// <exception cref="SnapshotException">It named none.</exception>
    public static void RestoreSharedInfo(Domain domain, ReadOnlySpan<byte> before)
    {
        if (domain.Memory.Relocation is not { } relocation)
        {
            return;
        }

        uint pages = BitConverter.ToUInt32(before[SharedInfoLayout.MaxPfn..]);
        uint list = relocation.RewriteP2m(BitConverter.ToUInt32(before[SharedInfoLayout.FrameListList..]), pages);
        if (list == 0)
        {
            throw new SnapshotException("saved state: the guest's p2m isn't where it says");
        }

        domain.Hypervisor.MachineToPhys[domain.SharedInfoMfn] = DomainBuilder.SharedMachineToPhys;
        *(uint*)(domain.SharedInfo + SharedInfoLayout.MaxPfn) = pages;
        *(uint*)(domain.SharedInfo + SharedInfoLayout.FrameListList) = list;
    }

    /// <summary>Renews start_info, and tells the guest's processor where that is now. Rings and ports are those of the domain already.</summary>
    /// <exception cref="SnapshotException">It lies where it can't.</exception>
    public static void RestoreStartInfo(Domain domain)
    {
        uint mfn = domain.Memory.FindPage(StartInfoFrame(domain));
        if (!IsPlain(domain, mfn))
        {
            throw new SnapshotException("saved state: the guest's start_info isn't where it says");
        }

        StartInfo.Renew(new Span<byte>(domain.Hypervisor.Machine.Frame(mfn), Layout.PageSize), domain);
        domain.Vcpus[0].State->Gpr[(int)Gpr.Edx] = mfn;
    }

    private static uint StartInfoFrame(Domain domain) => domain.Vcpus[0].State->Gpr[(int)Gpr.Edx];

    // A table or descriptors must not be written to behind their validation.
    private static bool IsPlain(Domain domain, uint mfn) => mfn != 0 && domain.Memory.IsPlain(mfn);
}

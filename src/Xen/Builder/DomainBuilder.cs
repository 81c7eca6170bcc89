using System.Runtime.InteropServices;
using System.Text;
using Dbt.Xen.Hvm;
using Dbt.Xen.Processor;

namespace Dbt.Xen.Builder;

/// <summary>
/// Makes a guest of a kernel file. PVH guests are <see cref="HvmBuilder"/>'s. Of a PV guest: memory, layout, page tables, start_info, rings, first processor's registers. What Xen's toolstack
/// (libxenguest) and hypervisor do together for a 32-bit PAE domain.
/// </summary>
public static unsafe class DomainBuilder
{
    private const int PagesPerMiB = 256;

    // Xen's toolstack lets every domain have 1 MiB more than maxmem, for what the guest didn't ask for (LIBXL_MAXMEM_CONSTANT).
    private const int MaxMemorySlackMiB = 1;
    // VMASST_TYPE_pae_extended_cr3.
    private const uint ExtendedCr3Assist = 1 << 3;

    /// <summary>SHARED_M2P_ENTRY: what the machine-to-phys table says of a page that is shared.</summary>
    internal const uint SharedMachineToPhys = 0x55555555;

    /// <summary>
    /// The ELF file within a kernel file. A guest that is kept for many runs keeps this: unpacking an xz kernel takes as long as a third of
    /// the boot that follows.
    /// </summary>
    /// <exception cref="KernelFormatException">No kernel is in it.</exception>
    public static byte[] UnpackKernel(byte[] file) => KernelContainer.Unwrap(file);

    /// <summary>Reads and lays out what is asked for, without a domain: everything that is wrong with a request is found here.</summary>
    /// <exception cref="DomainBuildException">The request can't be fulfilled; one line says why.</exception>
    public static DomainPlan Prepare(BuildRequest request)
    {
        CheckNumbers(request);
        try
        {
            ElfImage elf = ElfImage.Parse(KernelContainer.Unwrap(request.Kernel));
            var parameters = KernelParameters.Read(elf);
            return request.Type == GuestType.Pvh || (request.Type == GuestType.ByKernel && HvmImage.IsOnly(parameters))
                ? PreparePvh(request, HvmImage.Load(elf, parameters))
                : PreparePv(request, KernelImage.Load(elf, parameters));
        }
        catch (KernelFormatException exception)
        {
            throw new KernelFormatException($"{request.KernelName}: {exception.Message}", exception);
        }
    }

    /// <summary>
    /// Builds <paramref name="domain"/>, which must be empty, up to where <see cref="Vcpu.Start"/> of its first processor can be called.
    /// After an exception the domain is good for nothing but <see cref="Domain.Dispose"/>.
    /// </summary>
    /// <exception cref="DomainBuildException">The machine has too little memory, or the kernel's hypercall page is none.</exception>
    public static void Build(Domain domain, DomainPlan plan) => plan.Build(domain);

    internal static void Build(Domain domain, PvPlan plan)
    {
        (BuildRequest request, KernelImage kernel, StartOfDayLayout layout) = (plan.Request, plan.Kernel, plan.Layout);
        domain.ConfiguredKib = request.ConfiguredKib;
        GuestFrames frames = AddMemory(domain, layout, Math.Max(request.MemoryMiB, request.MaxMemoryMiB));
        LoadImages(kernel, request.Ramdisk, layout, frames);
        AddSharedInfo(domain);
        AddRings(domain, layout, frames);
        WriteStartInfo(domain, request, layout, frames, plan.CommandLine);
        frames.Write((ulong)layout.P2mPfn << 12, MemoryMarshal.AsBytes<uint>(frames.P2m));
        InitialPageTables.Write(layout, frames);
        FillHypercallPage(kernel, frames);
        AddProcessors(domain, kernel, request.Vcpus, layout, frames);
        domain.CancelsSuspend = kernel.Parameters.SuspendCancel;
        domain.Log.Add(
            $"built from {request.KernelName}: {kernel.Parameters.GuestOs}, {request.MemoryMiB} MiB, entry 0x{kernel.Entry:x8}, mapped 0x{layout.VirtBase:x8} to 0x{layout.MappedEnd:x8}");
    }

    private static PvPlan PreparePv(BuildRequest request, KernelImage kernel)
    {
        var layout = StartOfDayLayout.Compute(kernel, request.Ramdisk?.Length ?? 0, (uint)request.MemoryMiB * PagesPerMiB);
        return new PvPlan(request, kernel, layout, EncodeCommandLine(request.CommandLine, StartInfo.CommandLineBytes));
    }

    private static HvmPlan PreparePvh(BuildRequest request, HvmImage kernel)
    {
        var layout = HvmLayout.Compute(kernel, request.Ramdisk?.Length ?? 0, Math.Max(request.MemoryMiB, request.MaxMemoryMiB));
        return new HvmPlan(request, kernel, layout, EncodeCommandLine(request.CommandLine, HvmStartInfo.CommandLineBytes));
    }

    private static void CheckNumbers(BuildRequest request)
    {
        if (request.MemoryMiB is < BuildRequest.LeastMemoryMiB or > BuildRequest.MostMemoryMiB)
        {
            throw new DomainBuildException($"memory={request.MemoryMiB} is outside {BuildRequest.LeastMemoryMiB} to {BuildRequest.MostMemoryMiB} MiB");
        }

        if (request.Vcpus is < 1 or > BuildRequest.MostVcpus)
        {
            throw new DomainBuildException($"vcpus={request.Vcpus} is outside 1 to {BuildRequest.MostVcpus}");
        }
    }

    private static byte[] EncodeCommandLine(string commandLine, int room)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(commandLine);
        return bytes.Length < room
            ? bytes
            : throw new DomainBuildException($"the kernel's command line has {bytes.Length} bytes, more than {room - 1}");
    }

    private static GuestFrames AddMemory(Domain domain, StartOfDayLayout layout, int maxMemoryMiB)
    {
        domain.Memory.MaxPages = (uint)(maxMemoryMiB + MaxMemorySlackMiB) * PagesPerMiB;
        uint[] p2m = new uint[layout.PageCount];
        for (uint pfn = 0; pfn < p2m.Length; pfn++)
        {
            if (!domain.Memory.TryAddPage(out p2m[pfn]))
            {
                throw new DomainBuildException($"the machine has no {layout.PageCount / PagesPerMiB} MiB left for the guest; give it less memory");
            }
        }

        KeepL3Low(p2m, layout.PageTablePfn);
        for (uint pfn = 0; pfn < p2m.Length; pfn++)
        {
            domain.Hypervisor.MachineToPhys[p2m[pfn]] = pfn;
        }

        return new GuestFrames(domain.Hypervisor.Machine, p2m);
    }

    /// <summary>CR3 without its extension has only the low 32 bits of an address: the L3 table changes places with a low frame.</summary>
    private static void KeepL3Low(uint[] p2m, uint l3Pfn)
    {
        const uint fourGiB = 1u << 20;
        if (p2m[l3Pfn] < fourGiB)
        {
            return;
        }

        int low = Array.FindIndex(p2m, mfn => mfn < fourGiB);
        if (low >= 0)
        {
            (p2m[l3Pfn], p2m[low]) = (p2m[low], p2m[l3Pfn]);
        }
    }

    private static void LoadImages(KernelImage kernel, byte[]? ramdisk, StartOfDayLayout layout, GuestFrames frames)
    {
        foreach (ElfSegment load in kernel.Loads)
        {
            frames.Write(load.PhysicalAddress + kernel.VirtualOffset - kernel.VirtBase, kernel.Elf.Contents(load));
        }

        if (kernel.Symbols is not null)
        {
            frames.Write(kernel.SymbolsStart - kernel.VirtBase, kernel.Symbols.Contents);
        }

        frames.Write((ulong)layout.RamdiskPfn << 12, ramdisk);
    }

    private static void AddSharedInfo(Domain domain)
    {
        if (!domain.Memory.TryAllocateHypervisorPage(out uint mfn, guestWritable: true))
        {
            throw new DomainBuildException("the machine has no memory left for the guest");
        }

        domain.SharedInfoMfn = mfn;
        domain.Hypervisor.MachineToPhys[mfn] = SharedMachineToPhys;
    }

    private static void AddRings(Domain domain, StartOfDayLayout layout, GuestFrames frames)
    {
        if (!domain.Events.TryAllocateForBackend(out uint store) || !domain.Events.TryAllocateForBackend(out uint console))
        {
            throw new InvalidOperationException("a new domain has no event channel left");
        }

        (domain.StorePort, domain.ConsolePort) = (store, console);
        (domain.StoreMfn, domain.ConsoleMfn) = (frames.P2m[layout.StorePfn], frames.P2m[layout.ConsolePfn]);
    }

    private static void WriteStartInfo(Domain domain, BuildRequest request, StartOfDayLayout layout, GuestFrames frames, byte[] commandLine)
    {
        uint moduleBytes = (uint)(request.Ramdisk?.Length ?? 0);
        new StartInfo
        {
            PageCount = layout.PageCount,
            SharedInfoAddress = domain.SharedInfoMfn << 12,
            Flags = layout.RamdiskUnmapped ? StartInfo.FlagModStartPfn : 0,
            StoreMfn = domain.StoreMfn,
            StorePort = domain.StorePort,
            ConsoleMfn = domain.ConsoleMfn,
            ConsolePort = domain.ConsolePort,
            PageTableAddress = layout.AddressOf(layout.PageTablePfn),
            PageTableCount = layout.PageTableCount,
            P2mAddress = layout.AddressOf(layout.P2mPfn),
            ModuleStart = moduleBytes == 0 ? 0 : layout.RamdiskUnmapped ? layout.RamdiskPfn : layout.AddressOf(layout.RamdiskPfn),
            ModuleBytes = moduleBytes,
            CommandLine = commandLine,
        }.Write(frames.Page(layout.StartInfoPfn));
    }

    private static void FillHypercallPage(KernelImage kernel, GuestFrames frames)
    {
        if (kernel.Parameters.HypercallPage is not uint address)
        {
            return;
        }

        fixed (byte* page = frames.Page((address - kernel.VirtBase) >> 12))
        {
            HypercallPage.Fill(page);
        }
    }

    private static void AddProcessors(Domain domain, KernelImage kernel, int count, StartOfDayLayout layout, GuestFrames frames)
    {
        for (int id = 0; id < count; id++)
        {
            domain.Vcpus.Add(new Vcpu(domain, id));
        }

        string? refusal = domain.Memory.InstallInitialTables(domain.Vcpus[0], frames.P2m[layout.PageTablePfn]);
        if (refusal is not null)
        {
            throw new InvalidOperationException($"the initial page tables were refused: {refusal}");
        }

        if (kernel.Parameters.Pae is PaeMode.ExtendedCr3 or PaeMode.Bimodal)
        {
            domain.VmAssist |= ExtendedCr3Assist;
        }

        domain.Vcpus[0].SetStartState(kernel.Entry, layout.AddressOf(layout.StackPfn + 1), layout.AddressOf(layout.StartInfoPfn));
    }
}

using Dbt.Runtime.Memory;
using Dbt.Xen.Builder;

namespace Dbt.Xen.Hvm;

/// <summary>Makes a PVH guest: memory, images, start info, ACPI tables, parameters, first processor (Xen's docs/misc/pvh.pandoc).</summary>
internal static unsafe class HvmBuilder
{
    private const int PagesPerMiB = 256;
    private const int BlockOrder = 9;

    // What the toolstack lets a domain have beyond maxmem; the special pages and the ACPI tables come out of it.
    private const int SlackMiB = 1;

    /// <summary>Builds an empty domain up to where its first processor can be started.</summary>
    /// <exception cref="DomainBuildException">The machine has too little memory.</exception>
    public static void Build(Domain domain, HvmPlan plan)
    {
        (BuildRequest request, HvmImage kernel, HvmLayout layout) = (plan.Request, plan.Kernel, plan.Layout);
        HvmDomain hvm = domain.MakeTranslated();
        hvm.MemoryMap = layout.MemoryMap;
        domain.ConfiguredKib = request.ConfiguredKib;
        domain.Memory.MaxPages = (uint)(Math.Max(request.MemoryMiB, request.MaxMemoryMiB) + SlackMiB) * PagesPerMiB;
        Populate(domain, 0, layout.LowBytes, request);
        Populate(domain, 1UL << 32, layout.HighBytes, request);
        Populate(domain, HvmLayout.AcpiAddress, HvmLayout.AcpiBytes, request);
        Populate(domain, HvmLayout.StoreGfn << 12, 1 << 12, request);
        Populate(domain, HvmLayout.ConsoleGfn << 12, 1 << 12, request);

        // From here on it gets no more than it is to have, however much it has to give back for that.
        domain.Memory.MaxPages = (uint)(request.MemoryMiB + SlackMiB) * PagesPerMiB;
        if (!domain.Memory.TryAllocateHypervisorPage(out uint sharedInfo, guestWritable: true))
        {
            throw NoMemory(request);
        }

        domain.SharedInfoMfn = sharedInfo;
        foreach (ElfSegment load in kernel.Loads)
        {
            Write(domain, load.PhysicalAddress, kernel.Elf.Contents(load));
        }

        Write(domain, layout.Ramdisk, request.Ramdisk);
        Write(domain, layout.StartInfo, HvmStartInfo.Make(layout, request.Ramdisk?.Length ?? 0, plan.CommandLine));
        Write(domain, HvmLayout.AcpiAddress, AcpiTables.Make(HvmLayout.AcpiAddress, request.Vcpus));
        AddRings(domain, hvm);
        for (int id = 0; id < request.Vcpus; id++)
        {
            domain.Vcpus.Add(new Vcpu(domain, id));
        }

        domain.Vcpus[0].SetNativeStartState(kernel.Entry, layout.StartInfo);
        domain.CancelsSuspend = kernel.Parameters.SuspendCancel;
        domain.Log.Add(
            $"built by PVH from {request.KernelName}: {kernel.Parameters.GuestOs}, {request.MemoryMiB} MiB, entry 0x{kernel.Entry:x8}, start info 0x{layout.StartInfo:x8}");
    }

    private static void Populate(Domain domain, ulong address, ulong bytes, BuildRequest request)
    {
        uint gfn = (uint)(address >> 12), end = (uint)((address + bytes) >> 12);

        // By large blocks while there are any: a GiB has 262,144 pages.
        while (end - gfn >= 1u << BlockOrder && domain.Memory.TryPopulate(gfn, BlockOrder))
        {
            gfn += 1u << BlockOrder;
        }

        for (; gfn < end; gfn++)
        {
            if (!domain.Memory.TryPopulate(gfn))
            {
                throw NoMemory(request);
            }
        }
    }

    private static DomainBuildException NoMemory(BuildRequest request) =>
        new($"the machine has no {request.MemoryMiB} MiB left for the guest; give it less memory");

    private static void Write(Domain domain, ulong address, ReadOnlySpan<byte> bytes)
    {
        MachineMemory machine = domain.Hypervisor.Machine;
        Physmap physmap = domain.Hvm!.Physmap;
        while (!bytes.IsEmpty)
        {
            // As many frames at a time as follow one another in the machine: the host commits them faster together than one by one.
            uint mfn = physmap[address >> 12];
            uint offset = (uint)(address & 0xFFF), frames = 1;
            uint wanted = (offset + (uint)bytes.Length + 0xFFF) >> 12;
            while (frames < wanted && physmap[(address >> 12) + frames] == mfn + frames)
            {
                frames++;
            }

            int count = (int)Math.Min((uint)bytes.Length, (frames << 12) - offset);
            machine.Commit(mfn, frames);
            bytes[..count].CopyTo(new Span<byte>(machine.Frame(mfn) + offset, count));
            bytes = bytes[count..];
            address += (uint)count;
        }
    }

    private static void AddRings(Domain domain, HvmDomain hvm)
    {
        if (!domain.Events.TryAllocateForBackend(out uint store) || !domain.Events.TryAllocateForBackend(out uint console))
        {
            throw new InvalidOperationException("a new domain has no event channel left");
        }

        (domain.StorePort, domain.ConsolePort) = (store, console);
        (domain.StoreMfn, domain.ConsoleMfn) = (hvm.Physmap[HvmLayout.StoreGfn], hvm.Physmap[HvmLayout.ConsoleGfn]);
        hvm.Parameters[HvmParameters.StorePfn] = HvmLayout.StoreGfn;
        hvm.Parameters[HvmParameters.StorePort] = store;
        hvm.Parameters[HvmParameters.ConsolePfn] = HvmLayout.ConsoleGfn;
        hvm.Parameters[HvmParameters.ConsolePort] = console;
    }
}

/// <summary>A PVH guest that was found good.</summary>
internal sealed class HvmPlan(BuildRequest request, HvmImage kernel, HvmLayout layout, byte[] commandLine) : DomainPlan
{
    public BuildRequest Request => request;

    public HvmImage Kernel => kernel;

    public HvmLayout Layout => layout;

    public byte[] CommandLine => commandLine;

    /// <inheritdoc/>
    internal override void Build(Domain domain) => HvmBuilder.Build(domain, this);
}

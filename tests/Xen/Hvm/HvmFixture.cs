using Dbt.Tests.Xen.Builder;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Builder;
using Dbt.Xen.Hypercalls;
using static Dbt.Tests.Xen.Builder.ElfWriter;

namespace Dbt.Tests.Xen.Hvm;

/// <summary>A PVH domain of 16 MiB that a kernel of a few bytes was loaded into. Without paging its linear addresses are guest-physical ones.</summary>
internal sealed class HvmFixture : IDisposable
{
    public const uint Entry = 0x100000, Arguments = 0x10000;
    public const int MemoryMiB = 16;

    public HvmFixture(byte[]? code = null, int vcpus = 1, EngineKind engine = EngineKind.Interpreter, byte[]? ramdisk = null, string commandLine = "", WindowUse windows = WindowUse.WhenSettled)
    {
        Hypervisor = new Hypervisor(128 << 20);
        Domain = Hypervisor.CreateDomain("test", new EngineOptions { Kind = engine, Windows = windows });
        DomainBuilder.Build(Domain, DomainBuilder.Prepare(new BuildRequest
        {
            Kernel = Kernel(code ?? [0xF4]),
            MemoryMiB = MemoryMiB,
            Vcpus = vcpus,
            Ramdisk = ramdisk,
            CommandLine = commandLine,
        }));
    }

    public Hypervisor Hypervisor { get; }

    public Domain Domain { get; }

    public Vcpu Vcpu => Domain.Vcpus[0];

    /// <summary>A kernel that has a PVH entry and no other.</summary>
    public static byte[] Kernel(byte[] code, uint memorySize = 0x3000) => new ElfWriter { Entry = 0xC0000000 + Entry }
        .Load(0xC0000000 + Entry, code, physical: Entry, memorySize: memorySize)
        .NoteSegment(Note(18, Entry), Note(6, "test")).Build();

    public unsafe int Call(int number, uint a1, uint a2 = 0, uint a3 = 0)
    {
        var arguments = new HypercallArguments(a1, a2, a3, 0, 0, 0);
        while (true)
        {
            Vcpu.State->Attention = 0;
            int result = HypercallTable.Rows[number]!.Handler(Vcpu, arguments);
            Vcpu.Hvm!.ApplyFlush();
            if (Vcpu.Continuation is not { } again)
            {
                return result;
            }

            (arguments, Vcpu.Continuation) = (again, null);
        }
    }

    /// <summary>A hypercall whose structure is put into guest memory, at <see cref="Arguments"/>.</summary>
    public int CallWith(int number, uint command, params uint[] words)
    {
        for (int i = 0; i < words.Length; i++)
        {
            Put(Arguments + ((uint)i * 4), words[i]);
        }

        return Call(number, command, Arguments);
    }

    public void Put(uint address, uint value) => BitConverter.TryWriteBytes(At(address), value);

    public uint Get(uint address) => BitConverter.ToUInt32(At(address));

    public ulong GetLong(uint address) => BitConverter.ToUInt64(At(address));

    /// <summary>The rest of the page at a guest-physical address.</summary>
    public unsafe Span<byte> At(uint address)
    {
        uint mfn = Domain.Hvm!.Physmap[address >> 12];
        Assert.NotEqual(0u, mfn);
        return new Span<byte>(Hypervisor.Machine.Frame(mfn) + (address & 0xFFF), 4096 - (int)(address & 0xFFF));
    }

    public void Dispose() => Hypervisor.Dispose();
}

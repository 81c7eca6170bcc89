using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Protection;

/// <summary>What comes from outside the processor: interrupts, NMI, devices, and what stops it.</summary>
public sealed unsafe class MachineTests
{
    private const uint Code = 0x8000, Gdt = 0x1000, Idt = 0x2000, Handler = 0x9000, Log = 0x5000, Stack = 0x7000;

    public static TheoryData<string> Engines => [.. ProtectionTests.Engines];

    [Theory]
    [MemberData(nameof(Engines))]
    public void AnInterruptWaitsForTheInstructionAfterSti(string engine)
    {
        using ProtectionMachine machine = Machine(a =>
        {
            a.xor(eax, eax);
            a.mov(ecx, 3);
            a.sti();
            a.inc(eax);
            a.inc(eax);
            a.@out(0xF4, al);
        });
        machine.Interrupts.Enqueue(0x30);
        machine.Cpu->Attention = 1;
        machine.Run(EngineUnderTest.Options(engine), Code);

        Assert.Equal(1u, Read(machine, Log));
        Assert.Equal(2u, machine.Cpu->Gpr[(int)Gpr.Eax]);
        Assert.Empty(machine.Interrupts);
    }

    /// <summary>Pages that only we want to know of: one without memory behind it stops nobody, as a fetch from there does.</summary>
    [Fact]
    public void LookingAheadStopsNobody()
    {
        const uint Nowhere = 0x40000;
        using ProtectionMachine machine = Machine(a => a.@out(0xF4, al));
        machine.LookAhead(machine.Cpu, Nowhere);
        machine.LookAhead(machine.Cpu, Code >> 12);
        Assert.Null(machine.ShutdownReason);
        Assert.Equal(0, SoftwareTlb.ExecuteEntry(machine.Cpu, Nowhere));
        Assert.NotEqual(0, SoftwareTlb.ExecuteEntry(machine.Cpu, Code >> 12));

        machine.TryResolve(machine.Cpu, Nowhere << 12, MemoryAccess.Execute, false, out _, out _);
        Assert.NotNull(machine.ShutdownReason);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AHaltEndsWithAnInterrupt(string engine)
    {
        using ProtectionMachine machine = Machine(a =>
        {
            a.mov(eax, 7);
            a.sti();
            a.hlt();
            a.mov(eax, 8);
            a.@out(0xF4, al);
        });
        machine.Interrupts.Enqueue(0x30);
        machine.Run(EngineUnderTest.Options(engine), Code);

        Assert.Equal(7u, Read(machine, Log));
        Assert.Equal(8u, machine.Cpu->Gpr[(int)Gpr.Eax]);
        Assert.Null(machine.ShutdownReason);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void AnNmiWaitsForTheIretOfTheOneBefore(string engine)
    {
        using ProtectionMachine machine = Machine(a =>
        {
            a.nop();
            a.@out(0xF4, al);
        });
        machine.Nmis = 3;
        machine.Cpu->Attention = 1;
        machine.Run(EngineUnderTest.Options(engine), Code);

        // Each handler raises Attention by writing to a device; only between them the next one comes.
        Assert.True(machine.Nmis < 3);
        Assert.Equal(1u, Read(machine, Log + 8));
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void ADeviceIsReadAndWrittenInOrder(string engine)
    {
        const uint device = 0xFEE00000;
        using ProtectionMachine machine = Machine(a =>
        {
            a.mov(ebx, device);
            a.mov(ecx, 3);
            Label loop = a.CreateLabel();
            a.Label(ref loop);
            a.mov(eax, __dword_ptr[ebx + 0x20]);
            a.mov(__dword_ptr[ebx + 0xB0], ecx);
            a.or(__byte_ptr[ebx + 0xF1], 1);
            a.dec(ecx);
            a.jnz(loop);
            a.@out(0xF4, al);
        });
        machine.Run(EngineUnderTest.Options(engine), Code);

        const uint spurious = (device + 0xF0) ^ 0x5A5A5A5A | 0x100;
        Assert.Equal(
            [(device + 0xB0, 3u), (device + 0xF0, spurious), (device + 0xB0, 2u), (device + 0xF0, spurious), (device + 0xB0, 1u), (device + 0xF0, spurious)],
            machine.DeviceWrites);
        Assert.Equal((device + 0x20) ^ 0x5A5A5A5A, machine.Cpu->Gpr[(int)Gpr.Eax]);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void ATripleFaultIsToldToTheOwner(string engine)
    {
        using ProtectionMachine machine = Machine(a =>
        {
            a.ud2();
        });
        machine.Cpu->IdtrLimit = 0;
        machine.Run(EngineUnderTest.Options(engine), Code);

        Assert.Equal("triple fault", machine.ShutdownReason);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void CodeOutsideMemoryStopsTheProcessor(string engine)
    {
        using ProtectionMachine machine = Machine(a =>
        {
            a.mov(eax, 0xF0000000);
            a.jmp(eax);
        });
        machine.Run(EngineUnderTest.Options(engine), Code);

        Assert.StartsWith("code fetched where there is no memory", machine.ShutdownReason, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void RealModeStopsTheProcessor(string engine)
    {
        using ProtectionMachine machine = Machine(a =>
        {
            a.mov(eax, 0x10);
            a.mov(cr0, eax);
            a.jmp(eax);
        });
        machine.Run(EngineUnderTest.Options(engine), Code);

        Assert.NotNull(machine.ShutdownReason);
    }

    // Flat segments, and one handler for vectors 2 and 0x30: it stores EAX, counts, and touches a device so that Attend comes before IRET.
    private static ProtectionMachine Machine(Action<Assembler> write)
    {
        var machine = new ProtectionMachine([]);
        Put64(machine, Gdt + 8, Descriptors.Code(0));
        Put64(machine, Gdt + 16, Descriptors.Data(0));
        Put64(machine, Idt + (2 * 8), Descriptors.Gate(0xE, 0, 8, Handler));
        Put64(machine, Idt + (0x30 * 8), Descriptors.Gate(0xE, 0, 8, Handler));
        CpuState* cpu = machine.Cpu;
        (cpu->GdtrBase, cpu->GdtrLimit, cpu->IdtrBase, cpu->IdtrLimit) = (Gdt, 0xFF, Idt, 0x7FF);
        cpu->Gpr[(int)Gpr.Esp] = Stack;
        cpu->Segments[SegmentIndex.Cs].Selector = 8;
        cpu->Segments[SegmentIndex.Ss].Selector = 16;
        Assemble(machine, Handler, a =>
        {
            a.mov(__dword_ptr[(int)Log], eax);
            a.inc(__dword_ptr[(int)Log + 4]);
            a.mov(edx, __dword_ptr[(int)Log + 4]);
            a.mov(__dword_ptr[0xFEE00080L], eax);
            a.nop();
            a.sub(edx, __dword_ptr[(int)Log + 4]); // not 0 where another came in between
            a.setz(dl);
            a.mov(__byte_ptr[(int)Log + 8], dl);
            a.iretd();
        });
        Assemble(machine, Code, write);
        return machine;
    }

    private static void Assemble(ProtectionMachine machine, uint address, Action<Assembler> write)
    {
        var a = new Assembler(32);
        write(a);
        using var stream = new MemoryStream();
        a.Assemble(new StreamCodeWriter(stream), address);
        stream.ToArray().CopyTo(new Span<byte>(machine.Memory + address, (int)stream.Length));
    }

    private static void Put64(ProtectionMachine machine, uint address, ulong value) => *(ulong*)(machine.Memory + address) = value;

    private static uint Read(ProtectionMachine machine, uint address) => *(uint*)(machine.Memory + address);
}

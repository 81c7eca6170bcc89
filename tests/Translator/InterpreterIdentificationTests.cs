using Dbt.Translator.Interpretation;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>What the oracle cannot compare, because each processor answers for itself: time stamps, random numbers, hints and absent instructions.</summary>
public sealed unsafe class InterpreterIdentificationTests : IDisposable
{
    private const uint Start = 0x1000, Tsd = 4;

    private readonly TestPlatform _machine = new();

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void RdtscpGivesTheCounterAndItsProcessor()
    {
        _machine.Tsc = 0x123456789A;
        _machine.Cpu->TscAux = 0x42;
        Assert.Null(Run(a => a.rdtscp()));
        Assert.Equal((0x3456789Au, 0x12u, 0x42u), (Reg(Gpr.Eax), Reg(Gpr.Edx), Reg(Gpr.Ecx)));
        Assert.Null(Run(a => a.rdpid(esi)));
        Assert.Equal(0x42u, Reg(Gpr.Esi));
    }

    [Fact]
    public void TsdKeepsTheCounterFromOuterRings()
    {
        _machine.Cpu->Cr4 |= Tsd;
        Assert.Equal(_machine.Cpu->Cpl == 0 ? null : Vector.GeneralProtection, Run(a => a.rdtscp()));
        Assert.Equal(_machine.Cpu->Cpl == 0 ? null : Vector.GeneralProtection, Run(a => a.rdtsc()));
    }

    [Fact]
    public void RandomNumbersComeWithCarry()
    {
        var seen = new HashSet<uint>();
        for (int i = 0; i < 8; i++)
        {
            Assert.Null(Run(a => { a.mov(ecx, 0x55550000); a.rdrand(cx); a.rdseed(edx); a.pushfd(); a.pop(ebx); }));
            Assert.Equal(0x5555u, Reg(Gpr.Ecx) >> 16);
            Assert.Equal(Flags.Cf, Reg(Gpr.Ebx) & Flags.Status);
            seen.Add(Reg(Gpr.Edx));
        }

        Assert.True(seen.Count > 4);
    }

    [Fact]
    public void WhatIsAbsentIsUndefined()
    {
        Assert.Equal(Vector.InvalidOpcode, Run(a => a.xgetbv()));
        Assert.Equal(Vector.InvalidOpcode, Run(a => a.xsetbv()));
        Assert.Equal(Vector.InvalidOpcode, Run(a => a.ud2()));
        Assert.Equal(Vector.InvalidOpcode, Run(a => a.db(0x0F, 0xB9, 0xC0)));
        Assert.Equal(Vector.InvalidOpcode, Run(a => a.db(0x0F, 0xFF, 0xC0)));
        Assert.Equal(Vector.InvalidOpcode, Run(a => a.vaddps(xmm0, xmm1, xmm2)));
        Assert.Equal(Vector.InvalidOpcode, Run(a => a.vpaddd(ymm0, ymm1, ymm2)));
    }

    [Fact]
    public void HintsDoNothing()
    {
        Reg(Gpr.Eax) = 0xFFFFFFF0;
        Assert.Null(Run(a =>
        {
            a.db(0x0F, 0x1F, 0x40, 0x00);
            a.db(0x0F, 0x19, 0xC0);
            a.db(0x0F, 0x1E, 0xC0);
            a.db(0xF3, 0x0F, 0x1E, 0xFB);
            a.db(0x0F, 0x18, 0x08);
            a.pause();
            a.prefetchw(__byte_ptr[eax]);
            a.lfence();
        }));
        Assert.Equal(0xFFFFFFF0u, Reg(Gpr.Eax));
    }

    private ref uint Reg(Gpr register) => ref _machine.Cpu->Gpr[(int)register];

    // Runs instructions one by one; the vector of the first fault.
    private Vector? Run(Action<Assembler> code)
    {
        var assembler = new Assembler(32);
        code(assembler);
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), Start);
        _machine.Write(Start, stream.ToArray());
        CpuState* cpu = _machine.Cpu;
        cpu->Eip = Start;
        cpu->Gpr[(int)Gpr.Esp] = 0x20000;
        using var interpreter = new Interpreter(_machine);
        while (cpu->Eip < Start + stream.Length)
        {
            if (interpreter.ExecuteOne(cpu) != Outcome.Completed)
            {
                return cpu->Fault.Vector;
            }
        }

        return null;
    }
}

using Dbt.Translator.Interpretation;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>The interpreter engine on small programs.</summary>
public sealed unsafe class InterpreterTests : IDisposable
{
    private const uint Start = 0x1000;

    private readonly TestPlatform _machine = new();

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void LoopsSumNumbers()
    {
        Run(a =>
        {
            Label loop = a.CreateLabel();
            a.xor(eax, eax);
            a.mov(ecx, 100);
            a.Label(ref loop);
            a.add(eax, ecx);
            a.dec(ecx);
            a.jne(loop);
        });
        Assert.Equal(5050u, Reg(Gpr.Eax));
    }

    [Fact]
    public void CallsReturnBehindThemselves()
    {
        uint esp = Reg(Gpr.Esp);
        Run(a =>
        {
            Label function = a.CreateLabel(), over = a.CreateLabel();
            a.push(7);
            a.call(function);
            a.jmp(over);
            a.Label(ref function);
            a.mov(eax, __dword_ptr[esp_ + 4]);
            a.imul(eax, eax, 6);
            a.ret(4);
            a.Label(ref over);
            a.nop();
        });
        Assert.Equal(42u, Reg(Gpr.Eax));
        Assert.Equal(esp, Reg(Gpr.Esp));
    }

    [Fact]
    public void AccessAcrossPagesIsWhole()
    {
        _machine.Cpu->Gpr[(int)Gpr.Ebx] = 0x3FFE;
        Run(a =>
        {
            a.mov(__dword_ptr[ebx], 0x11223344);
            a.add(__dword_ptr[ebx], 0x01010101);
            a.mov(eax, __dword_ptr[ebx]);
        });
        Assert.Equal(0x12233445u, Reg(Gpr.Eax));
        Assert.Equal(0x12233445u, _machine.Read32(0x3FFE));
    }

    [Fact]
    public void AFaultOnTheSecondPageLeavesTheFirstAlone()
    {
        _machine.Protect(0x4000, PageRights.Present | PageRights.User);
        _machine.Cpu->Gpr[(int)Gpr.Ebx] = 0x3FFE;
        Run(a =>
        {
            a.nop();
            a.mov(__dword_ptr[ebx], 0x11223344);
        });
        Fault fault = Assert.Single(_machine.Faults);
        Assert.Equal(Vector.PageFault, fault.Vector);
        Assert.Equal(0x4000u, fault.Address);
        Assert.Equal(7u, fault.ErrorCode);
        Assert.Equal(Start + 1, Assert.Single(_machine.FaultEips));
        Assert.Equal(0u, _machine.Read32(0x3FFC));
    }

    [Fact]
    public void CodeThatPatchesItselfSeesThePatch()
    {
        // mov eax, 1 is overwritten to mov eax, 2 in the same block.
        Run(a =>
        {
            Label target = a.CreateLabel();
            a.mov(__byte_ptr[Start + 8], 2);
            a.mov(eax, 1);
            a.nop();
            _ = target;
        });
        Assert.Equal(2u, Reg(Gpr.Eax));
    }

    [Fact]
    public void CodeWrittenByAnotherIsDecodedAnew()
    {
        int rounds = 0;
        _machine.OnInterrupt = vector =>
        {
            if (vector != 0x81)
            {
                return false;
            }

            rounds++;
            _machine.Write(Start + 1, 9);
            _machine.Cpu->Eip = Start;
            return rounds == 1;
        };
        Run(a =>
        {
            a.mov(eax, 1);
            a.@int(0x81);
        });
        Assert.Equal(9u, Reg(Gpr.Eax));
        Assert.Equal(2, rounds);
    }

    [Fact]
    public void SingleStepTrapsAfterEachInstruction()
    {
        var eips = new List<uint>();
        _machine.OnFault = fault =>
        {
            Assert.Equal(Vector.Debug, fault.Vector);
            eips.Add(_machine.Cpu->Eip);
            return true;
        };
        _machine.Cpu->Eflags |= Flags.Tf;
        _machine.Cpu->RefreshMode();
        Run(a =>
        {
            a.nop();
            a.mov(eax, 5);
        });
        Assert.Equal([Start + 1, Start + 6], eips);
        Assert.NotEqual(0u, _machine.Cpu->Dr[6] & (1 << 14));
    }

    [Fact]
    public void DivisionByZeroIsPrecise()
    {
        Run(a =>
        {
            a.mov(eax, 10);
            a.xor(ecx, ecx);
            a.div(ecx);
        });
        Assert.Equal(Vector.DivideError, Assert.Single(_machine.Faults).Vector);
        Assert.Equal(Start + 7, Assert.Single(_machine.FaultEips));
        Assert.Equal(10u, Reg(Gpr.Eax));
    }

    [Fact]
    public void HighByteRegistersAreApart()
    {
        Run(a =>
        {
            a.mov(eax, 0x11223344);
            a.add(ah, 0xF0);
            a.setc(al);
        });
        Assert.Equal(0x11222301u, Reg(Gpr.Eax));
    }

    [Fact]
    public void UndefinedOpcodesAreFaults()
    {
        Run(a => a.ud2());
        Assert.Equal(Vector.InvalidOpcode, Assert.Single(_machine.Faults).Vector);
        Assert.Empty(_machine.Unimplemented);
    }

    [Fact]
    public void PrivilegedInRing3IsProtectionFault()
    {
        Run(a => a.cli());
        Fault fault = Assert.Single(_machine.Faults);
        Assert.Equal((Vector.GeneralProtection, 0u), (fault.Vector, fault.ErrorCode));
    }

    private static AssemblerRegister32 esp_ => esp;

    private uint Reg(Gpr register) => _machine.Cpu->Gpr[(int)register];

    private void Run(Action<Assembler> code)
    {
        uint end = _machine.Assemble(Start, code);
        _machine.Assemble(end, a => a.@int(0x80));
        _machine.Cpu->Eip = Start;
        using var engine = new InterpreterEngine(_machine, _machine.Cpu);
        engine.Run(_machine.Cpu);
    }
}

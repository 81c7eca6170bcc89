using Dbt.Translator.Interpretation;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>String instructions: bulk runs, overlap, direction, faults in the middle, interruption.</summary>
public sealed unsafe class InterpreterStringTests : IDisposable
{
    private const uint Start = 0x1000, Source = 0x10000, Destination = 0x20000;

    private readonly TestPlatform _machine = new();

    public void Dispose() => _machine.Dispose();

    [Theory]
    [InlineData(0u, 0u, 10000u)]
    [InlineData(3u, 0xFFDu, 9001u)]
    [InlineData(0xFFFu, 1u, 4097u)]
    public void CopiesAcrossPages(uint from, uint to, uint count)
    {
        Fill(Source, 20000);
        Set(Gpr.Esi, Source + from);
        Set(Gpr.Edi, Destination + to);
        Set(Gpr.Ecx, count);
        Run(a => a.rep.movsb());
        Assert.True(Bytes(Source + from, count).SequenceEqual(Bytes(Destination + to, count)));
        Assert.Equal((0u, Source + from + count, Destination + to + count), (Reg(Gpr.Ecx), Reg(Gpr.Esi), Reg(Gpr.Edi)));
        Assert.Equal(0, _machine.Memory[Destination + to + count]);
    }

    [Fact]
    public void OverlappingForwardCopyRepeatsThePattern()
    {
        _machine.Write(Source, 1, 2, 3);
        Set(Gpr.Esi, Source);
        Set(Gpr.Edi, Source + 3);
        Set(Gpr.Ecx, 300);
        Run(a => a.rep.movsb());
        for (uint i = 0; i < 303; i++)
        {
            Assert.Equal((i % 3) + 1, _machine.Memory[Source + i]);
        }
    }

    [Fact]
    public void BackwardCopyMovesOverlappingData()
    {
        Fill(Source, 1000);
        byte[] before = Bytes(Source, 1000).ToArray();
        Set(Gpr.Esi, Source + 996);
        Set(Gpr.Edi, Source + 1000);
        Set(Gpr.Ecx, 250);
        Run(a =>
        {
            a.std();
            a.rep.movsd();
            a.cld();
        });
        Assert.True(Bytes(Source + 4, 1000).SequenceEqual(before));
        Assert.Equal(Source - 4, Reg(Gpr.Esi));
    }

    [Fact]
    public void AFaultInTheMiddleKeepsTheProgress()
    {
        _machine.Protect(Destination + 0x2000, PageRights.Present | PageRights.User);
        Set(Gpr.Edi, Destination + 2);
        Set(Gpr.Ecx, 0x1000);
        Set(Gpr.Eax, 0x55AA);
        Run(a => a.rep.stosw());
        Fault fault = Assert.Single(_machine.Faults);
        Assert.Equal((Vector.PageFault, Destination + 0x2000), (fault.Vector, fault.Address));
        Assert.Equal(Start, Assert.Single(_machine.FaultEips));
        Assert.Equal((1u, Destination + 0x2000), (Reg(Gpr.Ecx), Reg(Gpr.Edi)));
        Assert.Equal(0x55AA55AAu, _machine.Read32(Destination + 0x1FFC));
    }

    [Fact]
    public void ScanFindsTheZero()
    {
        Fill(Source, 9000, 1);
        _machine.Memory[Source + 8000] = 0;
        Set(Gpr.Edi, Source);
        Set(Gpr.Ecx, uint.MaxValue);
        Run(a =>
        {
            a.xor(eax, eax);
            a.repne.scasb();
            a.setz(dl);
        });
        Assert.Equal(Source + 8001, Reg(Gpr.Edi));
        Assert.Equal(uint.MaxValue - 8001, Reg(Gpr.Ecx));
        Assert.Equal(1u, Reg(Gpr.Edx) & 0xFF);
    }

    [Theory]
    [InlineData(7000u)]
    [InlineData(0u)]
    [InlineData(4096u)]
    public void CompareStopsAtTheDifference(uint at)
    {
        Fill(Source, 9000);
        Bytes(Source, 9000).CopyTo(Bytes(Destination, 9000));
        _machine.Memory[Destination + at]++;
        Set(Gpr.Esi, Source);
        Set(Gpr.Edi, Destination);
        Set(Gpr.Ecx, 9000);
        Run(a => a.repe.cmpsb());
        Assert.Equal(Source + at + 1, Reg(Gpr.Esi));
        Assert.Equal(9000 - at - 1, Reg(Gpr.Ecx));
        Assert.Equal(0u, LazyFlags.Status(_machine.Cpu) & Flags.Zf);
    }

    [Fact]
    public void SixteenBitAddressesWrap()
    {
        Set(Gpr.Edi, 0x1234FFFE);
        Set(Gpr.Ecx, 0x77770002);
        Set(Gpr.Eax, 0xAABBCCDD);
        _machine.Write(Start, 0x67, 0xF3, 0x66, 0xAB, 0xCD, 0x80); // rep stosw with 16-bit addresses
        RunAtStart();
        Assert.Equal(0x12340002u, Reg(Gpr.Edi));
        Assert.Equal(0x77770000u, Reg(Gpr.Ecx));
        Assert.Equal((ushort)0xCCDD, *(ushort*)(_machine.Memory + 0xFFFE));
        Assert.Equal((ushort)0xCCDD, *(ushort*)_machine.Memory);
    }

    [Fact]
    public void AttentionInterruptsARepetitionWhichGoesOn()
    {
        int attended = 0;
        _machine.OnInterrupt = _ =>
        {
            attended++;
            return false;
        };
        Set(Gpr.Edi, Destination);
        Set(Gpr.Ecx, 100000);
        _machine.Cpu->Attention = 1;
        Run(a =>
        {
            a.std();
            a.rep.stosb();
        });
        Assert.Equal(0u, Reg(Gpr.Ecx));
        Assert.Equal(1, attended);
    }

    [Fact]
    public void StoringOverTheNextInstructionTakesEffect()
    {
        // rep stosb writes NOPs over an UD2 behind it.
        Set(Gpr.Edi, Start + 2);
        Set(Gpr.Ecx, 2);
        Set(Gpr.Eax, 0x90);
        _machine.Write(Start, 0xF3, 0xAA, 0x0F, 0x0B, 0xCD, 0x80);
        RunAtStart();
        Assert.Empty(_machine.Faults);
        Assert.Single(_machine.Interrupts);
    }

    private uint Reg(Gpr register) => _machine.Cpu->Gpr[(int)register];

    private void Set(Gpr register, uint value) => _machine.Cpu->Gpr[(int)register] = value;

    private Span<byte> Bytes(uint address, uint count) => new(_machine.Memory + address, (int)count);

    private void Fill(uint address, int count, int modulo = 250)
    {
        for (int i = 0; i < count; i++)
        {
            _machine.Memory[address + i] = (byte)((i % modulo) + 1);
        }
    }

    private void Run(Action<Assembler> code)
    {
        uint end = _machine.Assemble(Start, code);
        _machine.Assemble(end, a => a.@int(0x80));
        RunAtStart();
    }

    private void RunAtStart()
    {
        _machine.Cpu->Eip = Start;
        using var engine = new InterpreterEngine(_machine, _machine.Cpu);
        engine.Run(_machine.Cpu);
    }
}

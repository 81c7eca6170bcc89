using System.Numerics;
using Dbt.Tests.Translator;
using Dbt.Translator;
using Dbt.Xen;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Hvm;

/// <summary>
/// A kernel with a program of ring 3 in two address spaces in turn, whose tables it changes while it is in the other one. The program's window is put aside then, and when it comes back, its pages must be what
/// the tables say: another frame, no right to write, nothing at all, not the program's, and accessed and dirty bits that are set anew.
/// </summary>
public sealed class WindowSpaceTests
{
    private const uint Here = 0x50000, There = 0x50020, Low = 0x51000, High = 0x52000, HighThere = 0x53000, Leaf = 0x54000, LeafThere = 0x55000, Descriptors = 0x56000, Vectors = 0x57000;
    private const uint Result = 0x58000, TaskState = 0x59000, TurnsLeft = Result + 0x20;
    private const uint Frame = 0x800000, Other = 0x900000, FrameThere = 0xA00000, Place = 0x40000000, Pages = 8, Turns = 3000;
    private const uint KernelStack = 0x28000, ProgramStack = Place + (Pages * 0x1000) - 0x800;
    private const int PageFault = 14, Back = 0x30, KernelCode = 8, KernelData = 0x10, ProgramCode = 0x1B, ProgramData = 0x23, Task = 0x28;
    private const uint Mapped = 0x67, Large = 0xE7;

    [X64Theory]
    [InlineData(EngineKind.Interpreter, WindowUse.Never)]
    [InlineData(EngineKind.Optimized, WindowUse.Never)]
    [InlineData(EngineKind.Optimized, WindowUse.Always)]
    [InlineData(EngineKind.Tiered, WindowUse.Always)]
    public async Task ProgramsSeeWhatTheTablesSay(EngineKind engine, WindowUse windows)
    {
        var labels = new Dictionary<string, uint>();
        _ = Code(labels);
        byte[] code = Code(labels);
        using var guest = new HvmFixture(code, engine: engine, windows: windows);
        PutTables(guest, labels);
        guest.Vcpu.Start();

        // A program gets its window when something wants attention, as a timer's interrupt does; these have none.
        using var timer = new Timer(_ => Interrupt(guest), null, 1, 1);
        ShutdownReason reason = await guest.Domain.Stopped.WaitAsync(TimeSpan.FromMinutes(2));
        Assert.True(reason == ShutdownReason.Poweroff, guest.Domain.CrashReport?.Text);
        await timer.DisposeAsync();
        guest.Vcpu.Stop();
        Assert.Equal(Expected(), (guest.Get(Result), guest.Get(Result + 4), guest.Get(Result + 8)));
        long misses = guest.Vcpu.EngineStatistics!.SideExits.GetValueOrDefault("window-miss");
        if (windows == WindowUse.Never)
        {
            Assert.Equal(0, misses);
        }
        else
        {
            // What changed in a turn is missed, and not all that is there: a turn enters seven times, with eight pages each.
            Assert.InRange(misses, Turns, 30 * Turns);
        }
    }

    private static unsafe void Interrupt(HvmFixture guest) => guest.Vcpu.State->Attention = 1;

    private static void PutTables(HvmFixture guest, Dictionary<string, uint> labels)
    {
        Put(Here, 1, Low, High);
        Put(There, 1, Low, HighThere);
        for (uint i = 0; i < HvmFixture.MemoryMiB / 2; i++)
        {
            Entry(Low + (i * 8), (i << 21) | Large);
        }

        Entry(High, Leaf | Mapped);
        Entry(HighThere, LeafThere | Mapped);
        for (uint i = 0; i < Pages; i++)
        {
            Entry(Leaf + (i * 8), (Frame + (i << 12)) | Mapped);
            Entry(LeafThere + (i * 8), (FrameThere + (i << 12)) | Mapped);
        }

        Entry(Descriptors + KernelCode, 0x00CF_9B00_0000_FFFF);
        Entry(Descriptors + KernelData, 0x00CF_9300_0000_FFFF);
        Entry(Descriptors + (ProgramCode & ~7), 0x00CF_FB00_0000_FFFF);
        Entry(Descriptors + (ProgramData & ~7), 0x00CF_F300_0000_FFFF);
        Entry(Descriptors + Task, 0x67 | ((TaskState & 0xFFFFFFul) << 16) | (0x89ul << 40));

        // The stack of ring 0, less the return address that is on it while the program runs.
        Entry(TaskState + 4, (KernelStack - 4) | ((ulong)KernelData << 32));
        Gate(PageFault, labels["fault"], 0x8E00);
        Gate(Back, labels["back"], 0xEE00);
        Pointer(Result + 0x10, Descriptors, Task + 7);
        Pointer(Result + 0x18, Vectors, (Back * 8) + 7);

        void Put(uint place, uint flags, params ReadOnlySpan<uint> tables)
        {
            foreach (uint table in tables)
            {
                Entry(place, table | flags);
                place += 8;
            }
        }

        void Entry(uint place, ulong value) => BitConverter.TryWriteBytes(guest.At(place), value);

        void Gate(uint vector, uint handler, uint flags) =>
            Entry(Vectors + (vector * 8), (handler & 0xFFFF) | (KernelCode << 16) | ((ulong)((handler & 0xFFFF0000) | flags) << 32));

        void Pointer(uint place, uint table, uint limit) => Entry(place, limit | ((ulong)table << 16));
    }

    /// <summary>The kernel: EBX is the program's sum, EBP the number of faults, EDI the place in the table of the page that is changed.</summary>
    /// <param name="labels">Where places of it are, from an assembly before; filled.</param>
    private static byte[] Code(Dictionary<string, uint> labels)
    {
        var a = new Assembler(32);
        var places = new Dictionary<string, Label>();
        foreach (string name in (string[])["start", "fault", "back", "enter", "bump", "read", "again"])
        {
            places.Add(name, a.CreateLabel(name));
        }

        a.mov(esp, KernelStack);
        a.lgdt(__[Result + 0x10]);
        a.lidt(__[Result + 0x18]);
        a.push(KernelCode);
        a.push(Address("start"));
        a.retf();
        Mark("start");
        a.mov(eax, KernelData);
        a.mov(ss, ax);
        a.mov(eax, ProgramData);
        a.mov(ds, ax);
        a.mov(es, ax);
        a.mov(eax, Task);
        a.ltr(ax);
        a.mov(eax, cr4);
        a.or(eax, 0x20);
        a.mov(cr4, eax);
        Enter(Here);
        a.mov(eax, cr0);
        a.or(eax, unchecked((int)0x80010000));
        a.mov(cr0, eax);
        a.xor(ebx, ebx);
        a.xor(ebp, ebp);
        a.xor(edi, edi);
        a.mov(__dword_ptr[TurnsLeft], Turns);
        Mark("again");
        Run("bump");
        Enter(There);
        Run("bump");

        // Another frame.
        a.xor(__dword_ptr[edi + Leaf], Frame ^ Other);
        Enter(Here);
        Run("read");

        // Not dirty, not accessed, and neither.
        Clear(0x40);
        Run("bump");
        AddMarks();
        Clear(0x20);
        Run("read");
        AddMarks();
        Clear(0x60);
        Run("read");
        AddMarks();
        Run("bump");
        AddMarks();

        // Read only; not there; the kernel's.
        Clear(2);
        Run("read");
        Run("bump");
        Clear(1);
        Run("read");
        Clear(4);
        Run("read");
        a.add(ebx, ebp);
        a.rol(ebx, 1);
        a.add(edi, 8);
        a.and(edi, (int)(Pages - 1) * 8);
        a.dec(__dword_ptr[TurnsLeft]);
        a.jnz(places["again"]);
        a.mov(__dword_ptr[Result], ebx);
        a.mov(__dword_ptr[Result + 4], ebp);
        a.cli();
        a.hlt();

        // To ring 3, at EAX. It comes back to who called this.
        Mark("enter");
        a.push(ProgramData);
        a.push(ProgramStack);
        a.push(2);
        a.push(ProgramCode);
        a.push(eax);
        a.iretd();
        Mark("back");
        a.add(esp, 20);
        a.ret();

        // Lets the program have the page, and counts.
        Mark("fault");
        a.push(eax);
        a.mov(eax, cr2);
        a.shr(eax, 12);
        a.and(eax, 0x1FF);
        a.or(__dword_ptr[(eax * 8) + Leaf], 7);
        a.mov(eax, cr2);
        a.invlpg(__[eax]);
        a.mov(eax, __dword_ptr[esp + 4]);
        a.add(__dword_ptr[Result + 8], eax);
        a.inc(ebp);
        a.pop(eax);
        a.add(esp, 4);
        a.iretd();
        Program("bump", () =>
        {
            a.inc(__dword_ptr[esi]);
            a.push(ebx);
            a.add(ebx, __dword_ptr[esi]);
            a.pop(edx);
            a.sub(edx, ebx);
            a.sub(__dword_ptr[esi + 0x20], edx);
            a.add(__word_ptr[esi + 0x10], bx);
        });
        Program("read", () =>
        {
            a.add(ebx, __dword_ptr[esi]);
            a.movzx(edx, __word_ptr[esi + 0x10]);
            a.add(ebx, edx);
            a.xor(ebx, __dword_ptr[esi + 0x20]);
        });
        using var body = new MemoryStream();
        AssemblerResult result = a.Assemble(new StreamCodeWriter(body), HvmFixture.Entry, BlockEncoderOptions.ReturnNewInstructionOffsets);
        foreach ((string name, Label label) in places)
        {
            labels[name] = (uint)result.GetLabelRIP(label);
        }

        return body.ToArray();

        // As long as it isn't known, something as long.
        uint Address(string name) => labels.GetValueOrDefault(name, HvmFixture.Entry);

        void Mark(string name)
        {
            Label label = places[name];
            a.Label(ref label);
            places[name] = label;
        }

        void Program(string name, Action access)
        {
            Mark(name);
            Label page = a.CreateLabel();
            a.mov(esi, Place);
            a.mov(ecx, Pages);
            a.Label(ref page);
            access();
            a.add(esi, 0x1000);
            a.dec(ecx);
            a.jnz(page);
            a.@int(Back);
        }

        void Run(string name)
        {
            a.mov(eax, Address(name));
            a.call(places["enter"]);
        }

        void Clear(int bits)
        {
            Enter(There);
            a.and(__dword_ptr[edi + Leaf], ~bits);
            Enter(Here);
        }

        void AddMarks()
        {
            a.mov(edx, __dword_ptr[edi + Leaf]);
            a.and(edx, 0x60);
            a.add(ebx, edx);
        }

        void Enter(uint tables)
        {
            a.mov(eax, tables);
            a.mov(cr3, eax);
        }
    }

    private static (uint Sum, uint Faults, uint Errors) Expected()
    {
        var here = new Contents[Pages];
        var other = new Contents[Pages];
        var there = new Contents[Pages];
        uint sum = 0, faults = 0, errors = 0;
        for (uint turn = 0; turn < Turns; turn++)
        {
            uint page = turn % Pages;
            Bump(here);
            Bump(there);
            (here[page], other[page]) = (other[page], here[page]);
            Read();
            Bump(here);
            sum += 0x60;
            Read();
            sum += 0x60;
            Read();
            sum += 0x20;
            Bump(here);
            sum += 0x60;
            Read();
            Bump(here);
            Read();
            Read();

            // Not to be written, not there, and not the program's.
            faults += 3;
            errors += 7 + 4 + 5;
            sum = BitOperations.RotateLeft(sum + faults, 1);
        }

        return (sum, faults, errors);

        void Bump(Contents[] pages)
        {
            foreach (ref Contents page in pages.AsSpan())
            {
                sum += ++page.Count;
                page.Total += page.Count;
                page.Half += (ushort)sum;
            }
        }

        void Read()
        {
            foreach (Contents page in here)
            {
                sum = (sum + page.Count + page.Half) ^ page.Total;
            }
        }
    }

    private record struct Contents(uint Count, ushort Half, uint Total);
}

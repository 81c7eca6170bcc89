using System.Runtime.InteropServices;
using System.Text;
using Iced.Intel;
using static Dbt.Tests.Translator.Oracle.OracleLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>
/// The program that executes test vectors natively: a 32-bit Linux process with nothing mapped but itself and the vectors'
/// memory. It reads a byte from standard input as the sign to run the batch in the shared file, and answers with one.
/// Before each vector it loads every register and jumps to the vector's code; whatever happens there ends in a signal, whose
/// handler writes the processor's state to the output record, notes which memory differs from the background, and restores it.
/// After set-up it is confined by seccomp to a few calls (read, write, exit, sigreturn, mprotect) from its own code, so that a vector
/// that happens to make a system call ends this process and nothing else.
/// </summary>
internal static class HarnessProgram
{
    // Variables, offsets from HarnessData.
    private const uint Slot = 0, Record = 4, Index = 8, Sequence = 12, LastSequence = 16, Byte = 20, Late = 24, RegisterFile = 64;
    private const uint SigInfo = 4, OnStack = 0x08000000, NoDefer = 0x40000000, Restorer = 0x04000000, Restart = 0x10000000;

    /// <summary>Trap number of a vector that did not end by itself.</summary>
    public const uint TimedOut = 0x100;

    /// <summary>Selectors of the three thread descriptors, which FS and GS hold in most vectors.</summary>
    public const ushort Tls0 = 0x63, Tls1 = 0x6B, Tls2 = 0x73;

    // Each part has a fixed place, so that they reach each other, and 32-bit code its data, by number.
    private const uint BatchPart = Harness + 0x800, NextPart = Harness + 0xA00, HandlerPart = Harness + 0x1000;
    private const uint TickPart = Harness + 0x1400, RestorerPart = Harness + 0x1600, FailedPart = Harness + 0x1700;
    private const uint TimerData = Harness + 0x1800, FilterData = Harness + 0x1810, DescriptorData = Harness + 0x1900, PathData = Harness + 0x1D00;

    /// <summary>Writes the program; the path of its shared file is built in.</summary>
    public static void Write(string path, string sharedPath)
    {
        byte[] image = new byte[0x2000];
        Place(image, Harness, SetUp);
        Place(image, BatchPart, BeginBatch);
        Place(image, NextPart, RunVector);
        Place(image, HandlerPart, Handler);
        Place(image, TickPart, Tick);
        Place(image, RestorerPart, Restore);
        Place(image, FailedPart, Fail);
        Words(image, TimerData, [0, 50_000, 0, 50_000]);

        Words(image, DescriptorData, [.. OracleSegments.Thread.Concat(OracleSegments.Local).SelectMany(d => (uint[])[d.Entry, d.Base, d.Limit, d.Bits])]);
        Words(image, FilterData, Filter());
        Encoding.UTF8.GetBytes(sharedPath).CopyTo(image, PathData - Harness);
        ElfImage.Write(path, Harness, image, HarnessBytes);
    }

    private static void Place(byte[] image, uint address, Action<Assembler> part)
    {
        var a = new Assembler(32);
        part(a);
        using var stream = new MemoryStream();
        a.Assemble(new StreamCodeWriter(stream), address);
        int at = (int)(address - Harness);
        if (image.AsSpan(at, (int)stream.Length).ContainsAnyExcept((byte)0))
        {
            throw new InvalidOperationException("Two parts of the harness overlap.");
        }

        stream.ToArray().CopyTo(image, at);
    }

    private static void Words(byte[] image, uint address, uint[] words) =>
        MemoryMarshal.AsBytes<uint>(words).CopyTo(image.AsSpan((int)(address - Harness)));

    private static void SetUp(Assembler a)
    {
        // Away from the stack that the kernel gave, which goes next with all else that it mapped.
        a.mov(esp, HarnessStack);
        Call(a, 91, 0x1000, Harness - 0x1000);
        Call(a, 91, Harness + HarnessBytes, 0xFFFFE000 - Harness - HarnessBytes);

        a.mov(eax, 5);                                               // open(path, O_RDWR)
        a.mov(ebx, PathData);
        a.mov(ecx, 2);
        a.xor(edx, edx);
        a.@int(0x80);
        a.test(eax, eax);
        a.js(FailedPart);
        a.mov(edi, eax);
        Map(a, Shared, SharedBytes, 3, 0);
        for (int i = 0; i < Pages.Length; i++)
        {
            OracleRights rights = Pages[i].Rights;
            uint protection = 1u | (rights.HasFlag(OracleRights.Write) ? 2u : 0) | (rights.HasFlag(OracleRights.Execute) ? 4u : 0);
            Map(a, Pages[i].Linear, 4096, protection, Live + ((uint)i * 4096));
        }

        // sigaltstack({ sp, flags, size })
        a.push(SignalStackBytes);
        a.push(0);
        a.push(SignalStack);
        a.mov(ebx, esp);
        a.xor(ecx, ecx);
        a.mov(eax, 186);
        a.@int(0x80);
        a.test(eax, eax);
        a.js(FailedPart);

        foreach (uint signal in (uint[])[4, 5, 7, 8, 11])
        {
            Action(a, signal, HandlerPart, SigInfo | OnStack | NoDefer | Restorer);
        }

        // The tick returns by the old sigreturn, the one that strict seccomp lets through; hence no SA_SIGINFO.
        Action(a, 26, TickPart, OnStack | NoDefer | Restorer | Restart);

        // set_thread_area, three times.
        for (uint i = 0; i < 3; i++)
        {
            a.mov(ebx, DescriptorData + (16 * i));
            a.mov(eax, 243);
            a.@int(0x80);
            a.test(eax, eax);
            a.js(FailedPart);
        }

        a.mov(eax, 104);                                             // setitimer(ITIMER_VIRTUAL, { 50 ms, 50 ms }, 0)
        a.mov(ebx, 1);
        a.mov(ecx, TimerData);
        a.xor(edx, edx);
        a.@int(0x80);
        a.test(eax, eax);
        a.js(FailedPart);
        for (uint i = 0; i < OracleSegments.Local.Length; i++)
        {
            a.mov(eax, 123);                                         // modify_ldt(1, descriptor, 16)
            a.mov(ebx, 0x11);
            a.mov(ecx, DescriptorData + (16 * ((uint)OracleSegments.Thread.Length + i)));
            a.mov(edx, 16);
            a.@int(0x80);
            a.test(eax, eax);
            a.js(FailedPart);
        }

        a.xor(edx, edx);
        a.xor(esi, esi);
        a.xor(edi, edi);
        Call(a, 172, 38, 1);                                         // prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        a.test(eax, eax);
        a.js(FailedPart);
        a.mov(edx, FilterData);
        Call(a, 172, 22, 2);                                         // prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program)
        a.test(eax, eax);
        a.js(FailedPart);
        a.jmp(BatchPart);
    }

    private static void BeginBatch(Assembler a)
    {
        a.mov(esp, HarnessStack);
        a.mov(eax, 3);
        a.xor(ebx, ebx);
        a.mov(ecx, HarnessData + Byte);
        a.mov(edx, 1);
        a.@int(0x80);
        a.cmp(eax, 1);
        a.jne(FailedPart);
        a.mov(Variable(Slot), Shared + Input);
        a.mov(Variable(Record), Shared + Output);
        a.mov(Variable(Index), 0);
        a.jmp(NextPart);
    }

    private static void RunVector(Assembler a)
    {
        Label done = a.CreateLabel(), noFx = a.CreateLabel();
        a.mov(esp, HarnessStack);
        a.inc(Variable(Sequence));
        a.mov(eax, Variable(Index));
        a.mov(__dword_ptr[Shared + Header + 4], eax);
        a.cmp(eax, __dword_ptr[Shared + Header]);
        a.jae(done);
        a.cmp(Variable(Record), Shared + OutputLimit);
        a.ja(done);

        // Code and registers go to their places.
        a.mov(edx, Variable(Slot));
        a.lea(esi, __[edx + 64]);
        a.mov(edi, __dword_ptr[edx + 60]);
        a.mov(ecx, __dword_ptr[edx + 44]);
        a.rep.movsb();

        // IRET serialises: the handler restored the code pages through another linear address.
        Label serialised = a.CreateLabel();
        a.pushfd();
        a.push(cs);
        a.call(serialised);
        a.Label(ref serialised);
        a.add(__dword_ptr[esp], 5);                                   // behind the IRET
        a.iretd();
        a.mov(esi, edx);
        a.mov(edi, HarnessData + RegisterFile);
        a.mov(ecx, 16);
        a.rep.movsd();
        a.test(__dword_ptr[edx + 48], 1);
        a.jz(noFx);
        a.fxrstor(__[edx + 512]);
        a.Label(ref noFx);
        Label noLate = a.CreateLabel();
        a.test(__dword_ptr[edx + 48], 2);
        a.jz(noLate);
        Island(a, 0);
        a.mov(Variable(Late), 1);
        a.Label(ref noLate);

        // From here on through CS: DS may hold anything.
        a.mov(fs, __word_ptr[HarnessData + RegisterFile + 56]);
        a.mov(gs, __word_ptr[HarnessData + RegisterFile + 58]);
        a.mov(es, __word_ptr[HarnessData + RegisterFile + 54]);
        a.push(Initial(8));
        a.mov(ds, __word_ptr[HarnessData + RegisterFile + 52]);
        a.popfd();
        AssemblerRegister32[] general = [eax, ecx, edx, ebx, esp, ebp, esi, edi];
        for (uint i = 0; i < 8; i++)
        {
            // ESP last: it ends our stack.
            if (i != 4)
            {
                a.mov(general[i], Initial(i));
            }
        }

        a.mov(ss, __word_ptr.cs[HarnessData + RegisterFile + 42]);
        a.mov(esp, Initial(4));
        a.jmp(__fword_ptr.cs[HarnessData + RegisterFile + 36]);

        a.Label(ref done);
        a.mov(eax, 4);
        a.mov(ebx, 1);
        a.mov(ecx, HarnessData + Byte);
        a.mov(edx, 1);
        a.@int(0x80);
        a.cmp(eax, 1);
        a.je(BatchPart);
        a.jmp(FailedPart);
    }

    // exit(-EAX): the code of the system call that failed, or after end of file 0.
    private static void Fail(Assembler a)
    {
        a.neg(eax);
        a.mov(ebx, eax);
        a.mov(eax, 1);
        a.@int(0x80);
    }

    /// <summary>The fault handler (SA_SIGINFO): writes the record from the ucontext, then the memory differences.</summary>
    private static void Handler(Assembler a)
    {
        ClearFlags(a);
        a.mov(ebx, __dword_ptr[esp + 12]);

        // A page that was to come late comes now, and the vector goes on; at its end the page is there again in any case.
        Label ended = a.CreateLabel();
        a.cmp(Variable(Late), 0);
        a.je(ended);
        Island(a, 3);
        a.mov(Variable(Late), 0);
        a.mov(ebx, __dword_ptr[esp + 12]);
        a.cmp(__dword_ptr[ebx + 68], 14);
        a.jne(ended);
        a.mov(eax, __dword_ptr[ebx + 104]);
        a.and(eax, 0xFFFFF000);
        a.cmp(eax, OracleLayout.Island);
        a.jne(ended);
        a.add(esp, 4);
        a.mov(eax, 173);                                             // rt_sigreturn
        a.@int(0x80);
        a.Label(ref ended);
        a.mov(ebp, __dword_ptr[esp + 4]);
        a.mov(edi, Variable(Record));

        // sigcontext: EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, EFLAGS, EIP, trapno, err, cr2, from ucontext + 20.
        foreach (int offset in (int[])[64, 60, 56, 52, 48, 44, 40, 36, 84, 76, 68, 72, 104])
        {
            a.mov(eax, __dword_ptr[ebx + offset]);
            a.stosd();
        }

        a.mov(eax, ebp);
        a.stosd();
        a.lea(edx, __[edi]);                                         // the count of differences comes here
        a.stosd();

        // GS, FS, ES, DS, CS, SS.
        foreach (int offset in (int[])[20, 24, 28, 32, 80, 92])
        {
            a.mov(ax, __word_ptr[ebx + offset]);
            a.stosw();
        }

        a.add(edi, 8);
        a.mov(esi, __dword_ptr[ebx + 96]);
        a.add(esi, 112);                                             // FXSAVE's image follows the FSAVE one
        a.mov(ecx, 128);
        a.rep.movsd();

        Label scan = a.CreateLabel(), same = a.CreateLabel();
        a.mov(ebp, edi);
        a.mov(esi, Shared + Background);
        a.mov(edi, Shared + Live);
        a.mov(ecx, LiveBytes / 4);
        a.Label(ref scan);
        a.cmp(eax, eax);
        a.repe.cmpsd();
        a.je(same);
        a.mov(eax, __dword_ptr[edi - 4]);
        a.mov(__dword_ptr[ebp + 4], eax);
        a.lea(eax, __[edi - 4 - (int)(Shared + Live)]);
        a.mov(__dword_ptr[ebp], eax);
        a.add(ebp, 8);
        a.mov(eax, __dword_ptr[esi - 4]);
        a.mov(__dword_ptr[edi - 4], eax);
        a.test(ecx, ecx);
        a.jnz(scan);
        a.Label(ref same);
        a.mov(eax, ebp);
        a.mov(Variable(Record), ebp);
        a.sub(eax, edx);
        a.sub(eax, RecordBytes - 56);
        a.shr(eax, 3);
        a.mov(__dword_ptr[edx], eax);
        a.inc(Variable(Index));
        a.add(Variable(Slot), SlotBytes);
        a.jmp(NextPart);
    }

    /// <summary>The virtual timer: a vector that was already running at the last tick is given up.</summary>
    private static void Tick(Assembler a)
    {
        Label stuck = a.CreateLabel();
        ClearFlags(a);
        a.mov(eax, Variable(Sequence));
        a.cmp(eax, Variable(LastSequence));
        a.mov(Variable(LastSequence), eax);
        a.je(stuck);
        a.ret();

        a.Label(ref stuck);
        Island(a, 3);
        a.mov(Variable(Late), 0);
        a.mov(edi, Variable(Record));
        a.mov(edx, edi);
        a.xor(eax, eax);
        a.mov(ecx, RecordBytes / 4);
        a.rep.stosd();
        a.mov(Variable(Record), edi);
        a.mov(__dword_ptr[edx + 40], TimedOut);
        a.mov(esi, Shared + Background);
        a.mov(edi, Shared + Live);
        a.mov(ecx, LiveBytes / 4);
        a.rep.movsd();
        a.inc(Variable(Index));
        a.add(Variable(Slot), SlotBytes);
        a.jmp(NextPart);
    }

    private static void Restore(Assembler a)
    {
        a.pop(eax);
        a.mov(eax, 119);
        a.@int(0x80);
    }

    private static AssemblerMemoryOperand Variable(uint offset) => __dword_ptr[HarnessData + offset];

    private static AssemblerMemoryOperand Initial(uint index) => __dword_ptr.cs[HarnessData + RegisterFile + (4 * index)];

    // mprotect(island, 4096, rights)
    private static void Island(Assembler a, uint rights)
    {
        a.mov(edx, rights);
        Call(a, 125, OracleLayout.Island, 4096);
        a.test(eax, eax);
        a.js(FailedPart);
    }

    // struct sock_fprog and its program: i386 calls of these numbers from the harness's own pages; all else ends the process.
    private static uint[] Filter()
    {
        const uint Load = 0x20, Equal = 0x15, AtLeast = 0x35, Return = 0x06, Architecture = 0x40000003, Allow = 0x7FFF0000;
        uint[] calls = [1, 3, 4, 119, 125, 173];
        var program = new List<(uint Code, int True, int False, uint Value)>
        {
            (Load, 0, 0, 4), (Equal, 0, calls.Length + 4, Architecture),
            (Load, 0, 0, 8), (AtLeast, 0, calls.Length + 2, Harness), (AtLeast, calls.Length + 1, 0, Harness + 0x2000),
            (Load, 0, 0, 0),
        };
        for (int i = 0; i < calls.Length; i++)
        {
            program.Add((Equal, calls.Length - i, 0, calls[i]));
        }

        program.Add((Return, 0, 0, 0));
        program.Add((Return, 0, 0, Allow));
        return
        [
            (uint)program.Count, FilterData + 8,
            .. program.SelectMany(p => (uint[])[p.Code | ((uint)p.True << 16) | ((uint)p.False << 24), p.Value]),
        ];
    }

    // Linux leaves AC, NT and ID as the interrupted code had them.
    private static void ClearFlags(Assembler a)
    {
        a.push(0x202);
        a.popfd();
    }

    private static void Call(Assembler a, uint number, uint first, uint second)
    {
        a.mov(eax, number);
        a.mov(ebx, first);
        a.mov(ecx, second);
        a.@int(0x80);
    }

    // mmap2(address, bytes, protection, MAP_SHARED | MAP_FIXED | MAP_POPULATE, edi, offset in pages); keeps EDI.
    // Populated, because the first access to a page that is not yet there faults with the error code of an absent page.
    private static void Map(Assembler a, uint address, uint bytes, uint protection, uint offset)
    {
        a.mov(eax, 192);
        a.mov(ebx, address);
        a.mov(ecx, bytes);
        a.mov(edx, protection);
        a.mov(esi, 0x8011);
        a.mov(ebp, offset >> 12);
        a.@int(0x80);
        a.cmp(eax, ebx);
        a.jne(FailedPart);
    }

    // rt_sigaction(signal, { handler, flags, restorer, mask }, 0, 8)
    private static void Action(Assembler a, uint signal, uint handler, uint flags)
    {
        a.push(0);
        a.push(0);
        a.push(RestorerPart);
        a.push(flags);
        a.push(handler);
        a.mov(eax, 174);
        a.mov(ebx, signal);
        a.mov(ecx, esp);
        a.xor(edx, edx);
        a.mov(esi, 8);
        a.@int(0x80);
        a.test(eax, eax);
        a.js(FailedPart);
    }
}

using System.IO.Pipes;
using System.Text;
using CsCheck;
using Dbt.Devices.Console;

namespace Dbt.Tests.Devices;

/// <summary>The console's ring and back end.</summary>
public sealed class ConsoleTests
{
    private const int InputConsumer = 3072, InputProducer = 3076, OutputConsumer = 3080, OutputProducer = 3084;
    private readonly FakePage _page = new();
    private readonly FakeFrontend _frontend = new();

    public ConsoleTests() => _frontend.Ports.Add(2);

    [Fact]
    public void OutputComesInOrderAndWraps()
    {
        var ring = new ConsoleRing(_page);
        _page[OutputConsumer] = _page[OutputProducer] = 0xFFFFFFF0;
        var expected = new StringBuilder();
        var got = new StringBuilder();
        var buffer = new byte[300];
        for (int i = 0; i < 100; i++)
        {
            string line = $"line {i}: {new string('x', i)}\n";
            expected.Append(line);
            Say(line);
            int count = ring.Peek(buffer);
            ring.Consume(count);
            got.Append(Encoding.Latin1.GetString(buffer, 0, count));
        }

        Assert.Equal(expected.ToString(), got.ToString());
        Assert.Equal(_page[OutputProducer], _page[OutputConsumer]);
    }

    [Fact]
    public void ImpossibleIndicesMoveNothing()
    {
        var ring = new ConsoleRing(_page);
        _page[OutputProducer] = 2049;
        Assert.Equal(0, ring.Peek(new byte[4096]));
        Assert.True(ring.WasCorrupt);
        _page[InputConsumer] = 1;
        Assert.Equal(0, ring.Offer(new byte[10]));
        _page[OutputProducer] = 2048;
        Assert.Equal(2048, ring.Peek(new byte[4096]));
    }

    [Fact]
    public void SurvivesWhateverThePageHolds() => Gen.Byte.Array[4096].Sample(
        static bytes =>
        {
            var page = new FakePage();
            var ring = new ConsoleRing(page);
            bytes.CopyTo(page.Bytes);
            int count = ring.Peek(new byte[4096]);
            Assert.InRange(count, 0, 2048);
            ring.Consume(count);
            Assert.InRange(ring.Offer(bytes), 0, 1024);
        },
        iter: 1000);

    [Fact]
    public void TakesAllOutputAtTheEnd()
    {
        var output = new MemoryStream();
        using (new ConsoleBackend(_frontend, _page, 2, null, output))
        {
            // No event: the guest wrote, then stopped.
            Say("last words");
        }

        Assert.Equal("last words", Encoding.Latin1.GetString(output.ToArray()));
        Assert.Empty(_frontend.Signals);
    }

    [Fact]
    public void DrainsWhileTheGuestWaits()
    {
        var output = new MemoryStream();
        var expected = new StringBuilder();
        using (new ConsoleBackend(_frontend, _page, 2, null, output))
        {
            for (int i = 0; i < 200; i++)
            {
                string line = $"{i} {new string('y', 50)}\r\n";
                expected.Append(line);
                Say(line);
                _frontend.Signals[2]();
                SpinWait.SpinUntil(() => _page[OutputConsumer] == _page[OutputProducer]);
            }
        }

        Assert.Equal(expected.ToString(), Encoding.Latin1.GetString(output.ToArray()));
    }

    [Fact]
    public void PastedInputArrivesWhole()
    {
        byte[] paste = Enumerable.Range(0, 65536).Select(static i => (byte)(i * 7 / 3)).ToArray();
        var got = new List<byte>();
        using (new ConsoleBackend(_frontend, _page, 2, new MemoryStream(paste), Stream.Null))
        {
            while (got.Count < paste.Length)
            {
                // A guest that takes input without telling, a few bytes at a time.
                SpinWait.SpinUntil(() => _page[InputProducer] != _page[InputConsumer]);
                for (int i = 0; i < 700 && _page[InputConsumer] != _page[InputProducer]; i++)
                {
                    got.Add(_page.Bytes[(int)(_page[InputConsumer] % 1024)]);
                    _page[InputConsumer]++;
                }

                if (got.Count % 3 == 0)
                {
                    _frontend.Signals[2]();
                }
            }
        }

        Assert.Equal(paste, got);
    }

    [Fact]
    public void InputThatComesLaterIsDelivered()
    {
        using var typed = new AnonymousPipeServerStream(PipeDirection.Out);
        using var input = new AnonymousPipeClientStream(PipeDirection.In, typed.ClientSafePipeHandle);
        using (new ConsoleBackend(_frontend, _page, 2, input, Stream.Null))
        {
            typed.Write("ls\n"u8);
            Assert.True(SpinWait.SpinUntil(() => _page[InputProducer] == 3, TimeSpan.FromSeconds(30)));
            typed.Write("halt\n"u8);
            Assert.True(SpinWait.SpinUntil(() => _page[InputProducer] == 8, TimeSpan.FromSeconds(30)));
            Assert.Equal("ls\nhalt\n"u8.ToArray(), _page.Bytes[..8].ToArray());

            // The end of input ends its thread; disposing the pipe under a pending read would wait for it.
            typed.Dispose();
        }
    }

    [Fact]
    public void AGuestOutlivesItsReader()
    {
        var output = new BrokenStream();
        using (new ConsoleBackend(_frontend, _page, 2, null, output))
        {
            for (int i = 0; i < 3; i++)
            {
                Say("x");
                _frontend.Signals[2]();
                Assert.True(SpinWait.SpinUntil(() => _page[OutputConsumer] == _page[OutputProducer], TimeSpan.FromSeconds(30)));
            }
        }

        Assert.Single(_frontend.Log.Lines);
    }

    [Theory]
    [InlineData("grub> ", true)]
    [InlineData("\r\n\u001b[1;31mroot@host\u001b[0m:~# ", true)]
    [InlineData("login: ", true)]
    [InlineData("/ # \u001b[6n", true)]
    [InlineData("\u001b]0;root@host\u0007$ \u001b(B\u001b[m", true)]
    [InlineData("\u001b]0;# \u001b\\", false)]
    [InlineData("(memdisk) (proc) ", false)]
    [InlineData("\u001b[12;41H      [ hello.txt  16B  100%  1.16B/s ]\u001b[12;1H", false)]
    [InlineData("done: \r\n", false)]
    [InlineData("grub> l", false)]
    [InlineData("", false)]
    public void KnowsAPrompt(string output, bool expected)
    {
        var watch = new PromptWatch();
        foreach (byte value in Encoding.Latin1.GetBytes(output))
        {
            watch.Add([value]);
        }

        Assert.Equal(expected, watch.IsAtPrompt);
    }

    [Theory]
    [InlineData("~# \u001b[6n[    2.924201] xen_netfront: Initialising\r\n", true)]
    [InlineData("\u001b[?2004hroot@debian:~# \r\n[    2.9] a message\r\n", true)]
    [InlineData("\u001b[16n\u001b[6m\u001b[2004n\u001b[6h6n", false)]
    [InlineData("\u001b]0;\u001b[6n\u0007", false)]
    [InlineData("\u001b[99999999999999999996n", false)]
    public void KnowsALineEditorBehindOtherOutput(string output, bool expected)
    {
        var watch = new PromptWatch();
        foreach (byte value in Encoding.Latin1.GetBytes(output))
        {
            watch.Add([value]);
        }

        Assert.Equal(expected, watch.SawLineEditor);
    }

    [Fact]
    public void HoldsLinesUntilTheGuestIsReady()
    {
        var pacer = new InputPacer(4096);
        pacer.Read(8);
        ReadOnlySpan<byte> first = "cat\nhalt\n"u8;
        pacer.Output("boot\r\n"u8, 1000);
        Assert.Equal(0, pacer.Allow(first, true, 1200));
        pacer.Output("grub> "u8, 1300);
        Assert.Equal(0, pacer.Allow(first, true, 1350));
        Assert.Equal(4, pacer.Allow(first, true, 1300 + InputPacer.AtPrompt));
        pacer.Given(first[..2], 1400);
        Assert.Equal(2, pacer.Allow(first[2..], false, 1400));
        pacer.Given(first[2..4], 1410);
        Assert.Equal(0, pacer.Allow(first[4..], false, 9000)); // not taken yet
        Assert.Equal(0, pacer.Allow(first[4..], true, 9050)); // still at work
        pacer.Output("text\r\ngrub> "u8, 9100);
        Assert.Equal(5, pacer.Allow(first[4..], true, 9200));
        pacer.Given(first[4..], 9200);
        Assert.Equal(0, pacer.Allow(first, true, 9200 + InputPacer.Elsewhere - 1));
        Assert.Equal(4, pacer.Allow(first, true, 9200 + InputPacer.Elsewhere));
        pacer.Given(first[..4], 9900);
        pacer.Read(4096);
        Assert.Equal(5, pacer.Allow(first[4..], false, 9900));
    }

    private void Say(string text)
    {
        foreach (char c in text)
        {
            _page.Bytes[1024 + (int)(_page[OutputProducer] % 2048)] = (byte)c;
            _page[OutputProducer]++;
        }
    }

    private sealed class BrokenStream : MemoryStream
    {
        public override void Write(byte[] buffer, int offset, int count) => throw new IOException("broken pipe");
    }
}

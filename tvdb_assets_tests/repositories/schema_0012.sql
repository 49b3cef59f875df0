-- Rows of a database of schema 0012, as commit bfd0fa2 stored them.
--
-- Made once, by ingesting documents of the demo and a few others with simulated paid services, in
-- the mode hybrid: paid parses and vectors (16 dimensions), an outage of both services, an edited,
-- a forgotten and a missing file, containers with members, a second index, an exhausted budget.
-- What depends on the machine is a placeholder, which `test_upgrade.py` fills in.
DELETE FROM tvdb.installation;
INSERT INTO tvdb.vector_spaces (space_id, label, provider, model, dimensions, version, is_mock, run_id, created_at, is_stand_in) OVERRIDING SYSTEM VALUE VALUES
('1', 'openai/text-embedding-3-small@16#v1', 'openai', 'text-embedding-3-small', '16', 'v1', 'false', 'run-1', '2026-11-27 15:56:57.764719+00', 'false'),
('4', 'wordllama/l2_supercat_256@256#0.4.0.post1+stand-in', 'wordllama', 'l2_supercat_256', '256', '0.4.0.post1+stand-in', 'false', 'run-3', '2026-11-27 15:57:08.341587+00', 'true');
INSERT INTO tvdb.documents (document_id, partition_key, source, path, size, etag, sha256, status, failed_stage, error_code, error_message, error_remedy, disposition, attempts, recipe, run_id, registered_at, updated_at, is_degraded, deferred_at, container_id, member, position, is_changed, next_attempt_at, quarantine, requested_at, wanted_at, gone_at) OVERRIDING SYSTEM VALUE VALUES
('1', 'broken/corrupt-policy.pdf', '@SOURCE@', 'broken/corrupt-policy.pdf', '6060', '18ebf20ce108ab43-18ebf20ce108ab43-17ac-3025be', E'\\x69407487a76afea4280a21fd9390addf103a2918fd536c446c4ffb68a9997d6d', 'failed', 'parsed_documents', 'corrupt', 'The PDF is damaged: its pages can''t be found or read.', 'Open it in the program that made it, save it again, or fetch a fresh copy.', 'terminal', '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-1', '2026-11-27 15:56:57.693483+00', '2026-11-27 15:57:02.285112+00', 'false', NULL, NULL, NULL, NULL, 'false', '2026-11-27 16:02:02.28765+00', NULL, NULL, '2026-11-27 15:57:09.498184+00', NULL),
('2', 'edited.md', '@SOURCE@', 'edited.md', '46', '18ebf20eebc4d925-18ebf20eebc4d925-2e-3025cd', E'\\x8118237320493aaa1a0d73b57a38ffa89fbeb2f5bed7febaeb35ea8909cc2341', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-2', '2026-11-27 15:56:57.693483+00', '2026-11-27 15:57:02.534901+00', 'false', NULL, NULL, NULL, NULL, 'false', NULL, NULL, NULL, NULL, NULL),
('4', 'gone.md', '@SOURCE@', 'gone.md', '46', '18ebf20ce1d8985d-18ebf20ce1d8985d-2e-3025cc', E'\\x590058987cd088543f9a53b6883f7eb256e3189adf47acf0aa9a13114a98e7e5', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-1', '2026-11-27 15:56:57.693483+00', '2026-11-27 15:57:02.251231+00', 'false', NULL, NULL, NULL, NULL, 'false', NULL, NULL, NULL, NULL, '2026-11-27 15:57:02.663497+00'),
('5', 'handbook/underwriting-guidelines.md', '@SOURCE@', 'handbook/underwriting-guidelines.md', '1996', '18ebf20ce1cc5ca7-18ebf20ce1cc5ca7-7cc-3025c0', E'\\xfd0bacff359df0926acb0fbce78b015de50834aba546e9871ccee4dd5a1e6ab0', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_64@ openai/text-embedding-3-small@16#v1', 'run-4', '2026-11-27 15:56:57.693483+00', '2026-11-27 15:57:09.305336+00', 'false', NULL, NULL, NULL, NULL, 'false', NULL, NULL, NULL, NULL, NULL),
('6', 'letters.zip', '@SOURCE@', 'letters.zip', '366', '18ebf20ce0ffe667-18ebf20ce0ffe667-16e-3025bc', E'\\x61975487feed6f62b36f3f0fd082fff017d6af71917c199a9557100e0fef0421', 'failed', 'parsed_documents', 'members_failed', '1 of 3 documents inside of it failed: bad.pdf (corrupt).', 'See tvdb status for the cause and remedy of each; all others are done.', 'terminal', '1', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-1', '2026-11-27 15:56:57.693483+00', '2026-11-27 15:57:02.285112+00', 'false', NULL, NULL, NULL, NULL, 'false', '2026-11-27 16:02:02.287684+00', 'terminal', NULL, NULL, NULL),
('7', 'mail/claim-acknowledgement.eml', '@SOURCE@', 'mail/claim-acknowledgement.eml', '2871', '18ebf20ce1cf270a-18ebf20ce1cf270a-b37-3025c5', E'\\xf248f2ab9e55ec141a21e0f14b8d2c958866ba6c36854f05fe91524c9dc54086', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-1', '2026-11-27 15:56:57.693483+00', '2026-11-27 15:57:02.251231+00', 'false', NULL, NULL, NULL, NULL, 'false', NULL, NULL, NULL, NULL, NULL),
('8', 'notes/broker-notes.txt', '@SOURCE@', 'notes/broker-notes.txt', '1003', '18ebf20ce1d1b980-18ebf20ce1d1b980-3eb-3025c7', E'\\x79a309fcbf7125028944b3309891dee12fd35eccfbe132769880f322ae427f99', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-1', '2026-11-27 15:56:57.693483+00', '2026-11-27 15:57:02.251231+00', 'false', NULL, NULL, NULL, NULL, 'false', NULL, NULL, NULL, NULL, NULL),
('9', 'policies/cyber-policy.md', '@SOURCE@', 'policies/cyber-policy.md', '1794', '18ebf20ce1d4129d-18ebf20ce1d4129d-702-3025c9', E'\\xbfef6285cd58f057c958d7c7dab4bd7b84ce32e9919164816fab9583966e3f68', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-1', '2026-11-27 15:56:57.693483+00', '2026-11-27 15:57:02.251231+00', 'false', NULL, NULL, NULL, NULL, 'false', NULL, NULL, NULL, NULL, NULL),
('10', 'policies/pet-policy.pdf', '@SOURCE@', 'policies/pet-policy.pdf', '6456', '18ebf20ce1d5bb82-18ebf20ce1d5bb82-1938-3025ca', E'\\xefe4797904d6fdc216f8c2b20832b8fdba1648c780613eeac022e481db738c14', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-1', '2026-11-27 15:56:57.693483+00', '2026-11-27 15:57:02.251231+00', 'false', NULL, NULL, NULL, NULL, 'false', NULL, NULL, NULL, NULL, NULL),
('11', 'table.md', '@SOURCE@', 'table.md', '1660', '18ebf20ce0cb9fe7-18ebf20ce0cb9fe7-67c-3025bb', E'\\x4af16f6cce631a0c59a5fa4c37d593403723f0e1a909877e8149e10a8debb558', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_64@ openai/text-embedding-3-small@16#v1', 'run-4', '2026-11-27 15:56:57.693483+00', '2026-11-27 15:57:09.305336+00', 'false', NULL, NULL, NULL, NULL, 'false', NULL, NULL, NULL, NULL, NULL),
('12', 'letters.zip', '@SOURCE@', 'letters.zip!/one.md', '32', '17ad20c82252ccafa1dc3cef096927c38e8cf7de489322f55dc5ce020c7c0114', E'\\x17ad20c82252ccafa1dc3cef096927c38e8cf7de489322f55dc5ce020c7c0114', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-1', '2026-11-27 15:57:01.130457+00', '2026-11-27 15:57:02.03684+00', 'false', NULL, '6', 'one.md', '0', 'false', NULL, NULL, NULL, NULL, NULL),
('13', 'letters.zip', '@SOURCE@', 'letters.zip!/two.md', '28', 'd8f08272f4898b7a33679e9df14b11e9b751fac3cd5fb0dbbb5297f22e17c957', E'\\xd8f08272f4898b7a33679e9df14b11e9b751fac3cd5fb0dbbb5297f22e17c957', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-1', '2026-11-27 15:57:01.130457+00', '2026-11-27 15:57:02.03684+00', 'false', NULL, '6', 'two.md', '1', 'false', NULL, NULL, NULL, NULL, NULL),
('14', 'letters.zip', '@SOURCE@', 'letters.zip!/bad.pdf', '18', '53f64b1e9cdaa7c8af6162d88752a072660133c0e3289028b578d1f45c380940', E'\\x53f64b1e9cdaa7c8af6162d88752a072660133c0e3289028b578d1f45c380940', 'failed', 'parsed_documents', 'corrupt', 'The PDF is damaged: its pages can''t be found or read.', 'Open it in the program that made it, save it again, or fetch a fresh copy.', 'terminal', '1', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-1', '2026-11-27 15:57:01.130457+00', '2026-11-27 15:57:02.112928+00', 'false', NULL, '6', 'bad.pdf', '2', 'false', '2026-11-27 16:02:02.11547+00', 'terminal', NULL, NULL, NULL),
('15', 'mail/claim-acknowledgement.eml', '@SOURCE@', 'mail/claim-acknowledgement.eml!/documents-we-need.txt', '259', '21244250e608d4c85be7aaa1619218f363ed13fc1e5fa0ade3e659fa3bf0d069', E'\\x21244250e608d4c85be7aaa1619218f363ed13fc1e5fa0ade3e659fa3bf0d069', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-1', '2026-11-27 15:57:02.125943+00', '2026-11-27 15:57:02.18488+00', 'false', NULL, '7', 'documents-we-need.txt', '0', 'false', NULL, NULL, NULL, NULL, NULL),
('16', 'outage.html', '@SOURCE@', 'outage.html', '118', '18ebf20eff7ef547-18ebf20eff7ef547-76-3025cc', E'\\x5563aa9d98068d635a8ea0669345b12973c8e2f530fc637a314697bf9919391a', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-3', '2026-11-27 15:57:02.695351+00', '2026-11-27 15:57:09.023969+00', 'true', NULL, NULL, NULL, NULL, 'false', NULL, NULL, NULL, NULL, NULL),
('17', 'outage.md', '@SOURCE@', 'outage.md', '68', '18ebf20eff7c78f7-18ebf20eff7c78f7-44-3025cb', E'\\x5f08198d7373b24f5cd49f9cbe03ac0421156d854c5ce7e31f324bc6e7708275', 'published', NULL, NULL, NULL, NULL, NULL, '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-3', '2026-11-27 15:57:02.695351+00', '2026-11-27 15:57:09.023969+00', 'true', NULL, NULL, NULL, NULL, 'false', NULL, NULL, '2026-11-27 15:57:09.503137+00', NULL, NULL),
('18', 'deferred.md', '@SOURCE@', 'deferred.md', '52', '18ebf2108dc0dbc2-18ebf2108dc0dbc2-34-30295e', E'\\xde04492064f103376c3cddb5bcebb2bb9f70ebb4a70d48ca4f5e708c317413dc', 'deferred', 'embeddings', 'budget_exhausted', '$0.00000024 more would exceed today''s budget of $0.00 for all paid services; $0.00388714 are spent or reserved.', 'It goes on after 2026-11-26 00:00 UTC, or when the limit is raised by tvdb limits or TVDB_DAILY_COST_LIMIT.', 'deferred', '0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@ @CHUNKER_128@ openai/text-embedding-3-small@16#v1', 'run-5', '2026-11-27 15:57:09.366415+00', '2026-11-27 15:57:09.467985+00', 'false', '2026-11-27 15:57:09.415547+00', NULL, NULL, NULL, 'false', NULL, NULL, NULL, NULL, NULL);
INSERT INTO tvdb.parsed_documents (parsed_id, document_id, content_sha256, fingerprint, suffix, text, title, media_type, is_markdown, encoding, page_starts, headings, notes, facts, service, mode, model, version, is_degraded, run_id, created_at) OVERRIDING SYSTEM VALUE VALUES
('1', '10', E'\\xefe4797904d6fdc216f8c2b20832b8fdba1648c780613eeac022e481db738c14', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.pdf', E'%PDF-1.4
%���� ReportLab Generated PDF document (opensource)
1 0 obj
<<
/F1 2 0 R /F2 3 0 R /F3 4 0 R
>>
endobj
2 0 obj
<<
/BaseFont /Helvetica /Encoding /WinAnsiEncoding /Name /F1 /Subtype /Type1 /Type /Font
>>
endobj
3 0 obj
<<
/BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding /Name /F2 /Subtype /Type1 /Type /Font
>>
endobj
4 0 obj
<<
/BaseFont /Times-Roman /Encoding /WinAnsiEncoding /Name /F3 /Subtype /Type1 /Type /Font
>>
endobj
5 0 obj
<<
/Contents 19 0 R /MediaBox [ 0 0 595.2756 841.8898 ] /Parent 18 0 R /Resources <<
/Font 1 0 R /ProcSet [ /PDF /Text /ImageB /ImageC /ImageI ]
>> /Rotate 0 /Trans <<

>> 
  /Type /Page
>>
endobj
6 0 obj
<<
/Contents 20 0 R /MediaBox [ 0 0 595.2756 841.8898 ] /Parent 18 0 R /Resources <<
/Font 1 0 R /ProcSet [ /PDF /Text /ImageB /ImageC /ImageI ]
>> /Rotate 0 /Trans <<

>> 
  /Type /Page
>>
endobj
7 0 obj
<<
/Outlines 9 0 R /PageMode /UseNone /Pages 18 0 R /Type /Catalog
>>
endobj
8 0 obj
<<
/Author (Demo) /CreationDate (D:20000101000000+00''00'') /Creator (\\(unspecified\\)) /Keywords () /ModDate (D:20000101000000+00''00'') /Producer (ReportLab PDF Library - \\(opensource\\)) 
  /Subject (\\(unspecified\\)) /Title (Pet Policy) /Trapped /False
>>
endobj
9 0 obj
<<
/Count 9 /First 10 0 R /Last 10 0 R /Type /Outlines
>>
endobj
10 0 obj
<<
/Count 7 /Dest [ 5 0 R /Fit ] /First 11 0 R /Last 17 0 R /Parent 9 0 R /Title (Pet Policy)
>>
endobj
11 0 obj
<<
/Dest [ 5 0 R /Fit ] /Next 12 0 R /Parent 10 0 R /Title (1. What We Pay)
>>
endobj
12 0 obj
<<
/Dest [ 5 0 R /Fit ] /Next 13 0 R /Parent 10 0 R /Prev 11 0 R /Title (2. Waiting Periods)
>>
endobj
13 0 obj
<<
/Dest [ 6 0 R /Fit ] /Next 14 0 R /Parent 10 0 R /Prev 12 0 R /Title (3. What We Do Not Pay)
>>
endobj
14 0 obj
<<
/Dest [ 6 0 R /Fit ] /Next 15 0 R /Parent 10 0 R /Prev 13 0 R /Title (4. Conditions)
>>
endobj
15 0 obj
<<
/Dest [ 6 0 R /Fit ] /Next 16 0 R /Parent 10 0 R /Prev 14 0 R /Title (5. Making a Claim)
>>
endobj
16 0 obj
<<
/Dest [ 6 0 R /Fit ] /Next 17 0 R /Parent 10 0 R /Prev 15 0 R /Title (6. Third-Party Liability)
>>
endobj
17 0 obj
<<
/Dest [ 6 0 R /Fit ] /Parent 10 0 R /Prev 16 0 R /Title (7. Renewal)
>>
endobj
18 0 obj
<<
/Count 2 /Kids [ 5 0 R 6 0 R ] /Type /Pages
>>
endobj
19 0 obj
<<
/Filter [ /ASCII85Decode /FlateDecode ] /Length 1844
>>
stream
GauHM>E>75''RnB33"K/+>%K*?Qb[+Ch-'',VWcT1s<N.VmiWN=j=9D:hn+RY3#\\bF2ZeC8u!XI$6oD/1:L4G7*;ZD\\RJ2_7gog"%(=Drc#Q4*"CiKs5]U7k4N!#>lW-_t.\\Neb+%Y?tpC!;i/eT3@7N.4g+eZ5qpj$D''VeO>q-%07aY4b/^\\3>lId9fb$Boi1]6SZ10G,0!b]f4U[TD@%G0j]1eK0,''Ir4O&]>fj9;X"_#!03]<4dX8$BJtng[:#F9%_3nF#gq[D)CJJ5H-SMA*Y_U&C"bX>N+N.W+#GS&"2KS(psBo8A/gKZ"3bUnjnt`HE5TfbWf)C]DVm1Y[&R^^D.;.[1G18OFb;GLk@_Y9#)g<tjoPRb,.d0;1-"%.ZQ1Y/!)oKtSi-8SC+_Q6l3>KN]G,9AB#"FL-=o0,990bF)Z%mJMLe[278d+.N@!kVloE&:Q5`egc_=LU@J`DkPKrH''C#%8s.5)ctr>VbAepb#:Z''3L@tF7-pCh84u`:pC3$$E2d''+;X4p9+7elC*6&ius`8Tl1c''^[FJAG8SRR@i[btW<X,3P(Z\\a9.kV<K$U>1Vr*<pA''Io*nP$,/C#a1jIUFD1G3?p;5=0)9+p[ZeY[\\nI;ap''^(qh4Cq-:ORU=$5]''-$3)WlnM`g0l&S(e&lrVJtaG.+3L73Z)Gi2At@]D?.LGFM]XlU;YhspTeb]8cdkMitrB3q.T:6@$n@T@J:k:g$lmS%0cDVMipcQ4!((A;9IVp8ZCf2,hHKPjTHFolupEnXq6FK1dNNS%QZX*Hpk"FRfhng8Bq\\X\\s2H@,+P67h["f$bsi&IUeBXFuWS<pY#/o&r++FXM6j8.JNp4''CTQLlgYR.:\\AuMA6uuSe@&<Y:+P%rlRlUE2gOQ6ue("YCpbin:6-^''$6%5n4LbT''g@4&BK`(+"Rm0FZ5''Af:NkM.EOINn&3F%1VF#f=rF15)VC_M,<UJM-PWDc^pnkp<XI%#h"qFe4TSOItf-@``.2,T0e0\\9LiYlC-2QC*.^+gP$"m^em.*gcaObuoU0`Ap3oaH^8dH''kLdcVDWe8F=3&#T%Z>k5!F#>M''tA(%4J*/N3Zg^`<d>tnmINq95mNfi6q!jfuGpQ^B93$!k1m$Y`9K8".QBC;''C;uP5FBoFV#[-5(r(Q0KB_7q>dAW/`!F<Y;9&7h:ff;qsK:oPK(Jnh*]8?e9;\\_460)JOrIF(aH+@a%Z`1X6dkXpL4*ST!4M`O=uQ3`Z-/UD]iQab!8sbnsmeE/''*iCj[X!L*!3oI]/G[MlOFQ;-Ak]cB^+Ne@@et.RW=X4;g)</&dE;M-RND=9E-eF4=2!(5B&%LC$i8(j\\rj$$7&cpI5HFCc,R<^2d526J#]#XVBYK[:tLg89?;(UIf991L._C;@kX$Ubb#3<Z(S=IrHi^!aEqXfZ+''Z>TNaK]u30j[4,.XEE;.pSALcc,3I&tmUiR"#''X[7r[e?Q(q(ne:K?$KSiD%#_k<Sc@OB(>?p[[GN+lg+TjagHJ@+Rc^@!Lt%J.M-^O,HrRt%Ssg6ZZeI6IbKL8QsQ#WaNr?&SfQ)m.cW$_9*$p^lKcRlaHeCYVE)[MKrIf]=t#T]PR[8NntrTE,r!/UdY2l[QV>?XIZN1!%SDNbKto4AQ(aU,''>E#fpOs\\D80(DgZFhl$kWNTb`#dU=;29<B''Op6g>mY=W5U]ef>FYo8*`n.''jP\\$o9$`JCko5*DO(pXE(1G0?P-L3H=BEiDeqU,u`piU3Srkr=@rV1`auu[m/U#%5/(Y%FRq9ED^B&N@6b:g?D-ZnceOD.GO0fc$(a.X]4h&r@Qq2aDq&t.]I@T5Ja\\Sm6Aho"_Z+_])~>endstream
endobj
20 0 obj
<<
/Filter [ /ASCII85Decode /FlateDecode ] /Length 1591
>>
stream
Gau0C9lo&I&A@sBm%FZ^,;TJ;,Y_''+g9dDB12`h#0"JbC-mBu="U([mhtI/5p#4Pcm;]3FCBtL(h=l*MXr,.Q0`SoSLgDauj]b2*Tg_[,M_\\JKUH]N,;)6H7Ro.+9EB6lDb0h8&o^U86BL\\II77@ic7?Z#>2N-RZjj[/!-IJ?[fm^''":UmF?hir#.S)r>SqTKhL8&a%;<nZ''KSWS1=_&Z"''Nm9k&A"-LO)b]W)47MqI/\\]Zmf3;moN(''`;q<7=EDIkhkdLgnPIrW$/aR^9Bik)D(0q[Ta5E2T?L:>lYi@Ms,^7<71+t:7=\\AsFdMro(GEcf8H?OBCrf9@6pqf_[=fQeC[nlZ="Y^7H>!D''Y/2KLc_^.jCu%bN%M\\=TT1I;ZQkc[pVtoKc]mjPtgaJ+1"d"#enZE*ocdrlf44i2@%V$_''nPXR''dtMskM1]C31R#V%.?]_U=fonlAD.VY_[A6j;*UGnpA?7o5B+`5(GVmWbG8B$SL$KPDg:$>4!g''G>7W0X<iZjO@K_OJ,WLS_l8%EJE^Gn\\,AfT&]o(WT=)/q#Eo#:Ak+0"Ve,IsG/u%L:dB2TTQ"32*nuS?*=XG!ajg/WJ=i7rd3[fuhhPO2Mdk!H*XN*WV4nOrJBZP%''aTCe,%14:[P+7Yo1l]/!ip\\3_[T5aQNY@_S"%SHjgMA3W5q!u$_(;)EYP[G`]>k#2"g#M"^G^Ki)"TJ);;&j8f#:lR''"5q["(jMh:PaGQT"`.<cc!O9/VEC0ZuLrcV^W<["Zk]@]i]/WGS"*C1D3e@(h0i`VfK/+G2`Bt3iX8/=`N''3ZaB+_hf;9&U2B6h<g!h%o)jBm9T^uJ%1a=Hd&LLNN#[0)K=.(JeYF=kE<WRTCC00MH-/$^(T=qT/6?ON3:=LaWTHl''YFYI/]e$La@FD6&''`Y#[56n[<2g[X&VBWn%fCTSS;Zk`m''IDr*=>)I2Go%pn]Lfid\\:k`=3>HiH1+7#=GRfir=5e%Fjhp-[^.,^D<)o8)8pCTl.XVWG*Fl!621/XZ9Os%0/>QrIkg;!-MF1^`>!Eh+!(2J<cI->X,VXb3"B0ZES5%4,K<KYo7u9*d8@pI<L:cqCu\\U68!1[LKN)l@F7iD(C]_=MqI2qfdIE0G_1NII1&X[R!''+)fXNQ>UbVs2;GNiY"!@*-mdZeYYR4$6NjR2%K-BT>ZToMA/eJ*Za!f/BGtTbMb@sS8FIh=P-)*ha1?AY5*bcTlRh5s?r/Q3ZBskB&E&6\\p*`dn4RXuep1P`jMfql832/mL''t&"j''g&F6%cG#@!N#4dYOeD$^Ee(eM)"_63O[?g_>M^7:M]H.FDl;r]7M!iQqrW0K=XO]I]2l/ZLuY2J#i88?=-$s3tO5m1T+D=JGO@kr/gb3bFX^iBga%s&t>Y''5Bj_n9:ng75h:''04D;a&"#@0sBmbN!9b@)''#L$@S]+YGE"[PW.5m(A7n)nhX()gndf>?^uSq:!)q$KR"[02uU4C6f6$Td*;^Z;GO/rf)Ucs^;T_JbV7ETN/ULX=X-gr$0uR?)f''rG?0Zq6r''kH@R\\tJm-#:N''lj<h/@cmE,lMkJk<93=$6lJ;gpY9dFnQ)9+8!~>endstream
endobj
xref
0 21
0000000000 65535 f 
0000000061 00000 n 
0000000112 00000 n 
0000000219 00000 n 
0000000331 00000 n 
0000000440 00000 n 
0000000645 00000 n 
0000000850 00000 n 
0000000935 00000 n 
0000001203 00000 n 
0000001276 00000 n 
0000001389 00000 n 
0000001484 00000 n 
0000001596 00000 n 
0000001711 00000 n 
0000001818 00000 n 
0000001929 00000 n 
0000002047 00000 n 
0000002138 00000 n 
0000002204 00000 n 
0000004140 00000 n 
trailer
<<
/ID 
[<57e89b478cd74e35dabbeb25eb4bccc1><57e89b478cd74e35dabbeb25eb4bccc1>]
% ReportLab generated PDF document -- digest (opensource)

/Info 8 0 R
/Root 7 0 R
/Size 21
>>
startxref
5823
%%EOF
', NULL, 'application/pdf', 'true', NULL, '{0}', '[]', '{}', '{"pages": 1, "pages_with_text": 1}', 'llamaparse', 'real', 'cost_effective', '2026-09-28', 'false', 'run-1', '2026-11-27 15:57:01.050996+00'),
('4', '4', E'\\x590058987cd088543f9a53b6883f7eb256e3189adf47acf0aa9a13114a98e7e5', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.md', '# Gone

This file is no longer in the source.
', 'Gone', 'text/markdown', 'true', 'ascii', '{}', '[{"level": 1, "title": "Gone", "offset": 0}]', '{}', '{}', 'chardetng-py', 'local', 'plain', '0.3.5', 'false', 'run-1', '2026-11-27 15:57:01.072888+00'),
('5', '5', E'\\xfd0bacff359df0926acb0fbce78b015de50834aba546e9871ccee4dd5a1e6ab0', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.md', '# Underwriting Guidelines: Residential Property

Northlight Mutual (fictional), property desk. Edition 7, January 2026.

These guidelines tell the underwriter which houses we accept at once, which ones need a referral, and which ones we decline. They bind the desk, not the policyholder.

## 1. Authority

An underwriter may bind a single house up to a dwelling limit of **$750,000**. Larger risks go to the senior desk:

1. up to $1,500,000: senior underwriter;
2. up to $3,000,000: head of property;
3. above that: facultative reinsurance must be in place before we quote.

## 2. Construction and Age

| Construction | Up to 25 years | 26 to 60 years | Over 60 years |
|---|---|---|---|
| Masonry, tile roof | Accept | Accept | Refer |
| Wood frame, asphalt roof | Accept | Refer | Refer |
| Wood frame, shake roof | Refer | Decline | Decline |
| Log or earth wall | Refer | Refer | Decline |

Roofs older than 20 years are written at actual cash value, whatever the construction.

## 3. Protection Class

- A hydrant within 300 meters and a fire station within 8 kilometers: standard rate.
- Only one of the two: surcharge of 15 percent.
- Neither: decline unless the house has a residential sprinkler system.

### 3.1 Wood Stoves

A wood stove is acceptable if a professional installed it and the chimney was swept within the last 12 months. Ask for the invoice of the sweep.

## 4. Loss History

> More than two paid losses in the last five years, or a single unexplained fire, is a referral. No underwriter may waive this rule.

Water losses count double if the plumbing is galvanized steel and has not been replaced.

## 5. Rating Formula

The technical premium is computed as follows and rounded to the full dollar:

```text
premium = limit / 1000 * base_rate * construction * protection
        - deductible_credit
        + minimum_expense_load
```

The minimum expense load is $120. A premium more than 10 percent below the technical premium needs the consent of the head of property.
', 'Underwriting Guidelines: Residential Property', 'text/markdown', 'true', 'ascii', '{}', '[{"level": 1, "title": "Underwriting Guidelines: Residential Property", "offset": 0}, {"level": 2, "title": "1. Authority", "offset": 289}, {"level": 2, "title": "2. Construction and Age", "offset": 576}, {"level": 2, "title": "3. Protection Class", "offset": 984}, {"level": 3, "title": "3.1 Wood Stoves", "offset": 1214}, {"level": 2, "title": "4. Loss History", "offset": 1381}, {"level": 2, "title": "5. Rating Formula", "offset": 1625}]', '{}', '{}', 'chardetng-py', 'local', 'plain', '0.3.5', 'false', 'run-1', '2026-11-27 15:57:01.072888+00'),
('6', '7', E'\\xf248f2ab9e55ec141a21e0f14b8d2c958866ba6c36854f05fe91524c9dc54086', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.eml', 'From: Northlight Mutual Claims Desk <claims@example.com>
To: Policyholder <policyholder@example.org>
Subject: Claim NM-26-00871: we have received your water damage claim
Date: Tue, 10 Mar 2026 09:42:00 +0000

Dear policyholder,

thank you for telling us about the water damage in your kitchen. We have
opened claim NM-26-00871 under your homeowners policy NM-HO-204417.

What you told us: on 8 March 2026 the supply hose of the dishwasher burst and
water ran under the kitchen floor and into the hall.

What happens next
- A field adjuster will visit the house on Friday, 13 March, between 9 and 11.
- You may dry the floor and have the hose replaced at once. Please keep the
  broken hose and all receipts.
- Please do not throw away damaged flooring before the adjuster has seen it.

The deductible of $1,500 applies to the building and $500 to the appliance.
The attached list shows the documents that we need from you.

Kind regards
Claims desk, Northlight Mutual (fictional)
claims@example.com', 'Claim NM-26-00871: we have received your water damage claim', 'message/rfc822', 'false', 'ascii', '{}', '[]', '{}', '{"attachments": 1}', 'chardetng-py', 'local', 'mail', '0.3.5', 'false', 'run-1', '2026-11-27 15:57:01.072888+00'),
('7', '8', E'\\x79a309fcbf7125028944b3309891dee12fd35eccfbe132769880f322ae427f99', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.txt', 'BROKER NOTES – renewal round, spring 2026

Café and bakery, two branches
Wants to add the new terrace and a €45,000 espresso and pâtisserie line. The
owner’s asking price for the fit-out was €180,000 – underinsured by about a third.
Ask the property desk for a survey before 15 May. Premium last year €2,310,
indication for this year €2,640 to €2,790.

Furniture maker, façade workshop
Sawdust extraction has been renewed; the certificate is on file. The insurer
offers 7.5 % off if sprinklers are fitted – payback is roughly four years. The client
says “not this year”. Note the naïve assumption in the old proposal that stock is
constant: it doubles in November.

Translation bureau, six employees
Professional indemnity, limit €500,000. One incident in 2024 (a decimal comma
read as a thousands separator, settled for €12,400). Résumés of new staff needed.
Excess stays at €2,500.

Next call: week 21. Bring the comparison of fire ratings, and ask both markets
whether they waive average up to 15 %.
', NULL, 'text/plain', 'false', 'cp1252', '{}', '[]', '{}', '{}', 'chardetng-py', 'local', 'plain', '0.3.5', 'false', 'run-1', '2026-11-27 15:57:01.072888+00'),
('8', '9', E'\\xbfef6285cd58f057c958d7c7dab4bd7b84ce32e9919164816fab9583966e3f68', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.md', '# Cyber Policy for Small Businesses

Quillstone Cyber Underwriting, a fictional company. Policy number QCU-26-1180 (specimen). Policy period: 1 May 2026 to 1 May 2027.

## 1. Incident Response

Call the incident line as soon as you suspect an attack. It is staffed day and night. We appoint and pay forensic investigators, privacy lawyers and a public relations adviser for the first 72 hours, and no retention applies to their fees.

## 2. Ransomware and Extortion

We reimburse a ransom only if we agreed to it in writing beforehand, if payment is lawful, and if no usable backup exists. The limit for ransomware is $250,000, and 20 percent of every ransom stays with you.

## 3. Business Interruption

We pay lost net profit and continuing expenses while your systems are down because of a security failure. Payment starts after a waiting period of 10 hours and ends when the systems are restored, or after 120 days.

| Cover | Limit | Retention |
|---|---|---|
| Incident response | $500,000 | None |
| Data restoration | $300,000 | $5,000 |
| Ransomware and extortion | $250,000 | $10,000 |
| Business interruption | $400,000 | 10 hours |
| Privacy liability | $1,000,000 | $10,000 |
| Payment fraud by deceptive e-mail | $100,000 | $15,000 |

## 4. Security Requirements

Cover depends on the following being in place throughout the policy period:

- multi-factor authentication for remote access and for every administrator;
- a backup at least weekly, one copy of which cannot be reached from the network;
- security updates installed within 30 days of release.

## 5. Exclusions

We do not pay for failure of the public power grid or of the internet, for wear of hardware, for acts of war between states, or for the cost of making your systems better than they were before the attack.
', 'Cyber Policy for Small Businesses', 'text/markdown', 'true', 'ascii', '{}', '[{"level": 1, "title": "Cyber Policy for Small Businesses", "offset": 0}, {"level": 2, "title": "1. Incident Response", "offset": 169}, {"level": 2, "title": "2. Ransomware and Extortion", "offset": 435}, {"level": 2, "title": "3. Business Interruption", "offset": 676}, {"level": 2, "title": "4. Security Requirements", "offset": 1249}, {"level": 2, "title": "5. Exclusions", "offset": 1571}]', '{}', '{}', 'chardetng-py', 'local', 'plain', '0.3.5', 'false', 'run-1', '2026-11-27 15:57:01.072888+00'),
('9', '11', E'\\x4af16f6cce631a0c59a5fa4c37d593403723f0e1a909877e8149e10a8debb558', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.md', '# Table

| building | premium |
|---|---|
| house 0 in the row of houses | 0 euros a year, paid on the first of March |
| house 1 in the row of houses | 100 euros a year, paid on the first of March |
| house 2 in the row of houses | 200 euros a year, paid on the first of March |
| house 3 in the row of houses | 300 euros a year, paid on the first of March |
| house 4 in the row of houses | 400 euros a year, paid on the first of March |
| house 5 in the row of houses | 500 euros a year, paid on the first of March |
| house 6 in the row of houses | 600 euros a year, paid on the first of March |
| house 7 in the row of houses | 700 euros a year, paid on the first of March |
| house 8 in the row of houses | 800 euros a year, paid on the first of March |
| house 9 in the row of houses | 900 euros a year, paid on the first of March |
| house 10 in the row of houses | 1000 euros a year, paid on the first of March |
| house 11 in the row of houses | 1100 euros a year, paid on the first of March |
| house 12 in the row of houses | 1200 euros a year, paid on the first of March |
| house 13 in the row of houses | 1300 euros a year, paid on the first of March |
| house 14 in the row of houses | 1400 euros a year, paid on the first of March |
| house 15 in the row of houses | 1500 euros a year, paid on the first of March |
| house 16 in the row of houses | 1600 euros a year, paid on the first of March |
| house 17 in the row of houses | 1700 euros a year, paid on the first of March |
| house 18 in the row of houses | 1800 euros a year, paid on the first of March |
| house 19 in the row of houses | 1900 euros a year, paid on the first of March |
', 'Table', 'text/markdown', 'true', 'ascii', '{}', '[{"level": 1, "title": "Table", "offset": 0}]', '{}', '{}', 'chardetng-py', 'local', 'plain', '0.3.5', 'false', 'run-1', '2026-11-27 15:57:01.072888+00'),
('10', '12', E'\\x17ad20c82252ccafa1dc3cef096927c38e8cf7de489322f55dc5ce020c7c0114', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.md', '# One

Flood damage is covered.
', 'One', 'text/markdown', 'true', 'ascii', '{}', '[{"level": 1, "title": "One", "offset": 0}]', '{}', '{}', 'chardetng-py', 'local', 'plain', '0.3.5', 'false', 'run-1', '2026-11-27 15:57:01.207163+00'),
('11', '13', E'\\xd8f08272f4898b7a33679e9df14b11e9b751fac3cd5fb0dbbb5297f22e17c957', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.md', '# Two

Fire is not covered.
', 'Two', 'text/markdown', 'true', 'ascii', '{}', '[{"level": 1, "title": "Two", "offset": 0}]', '{}', '{}', 'chardetng-py', 'local', 'plain', '0.3.5', 'false', 'run-1', '2026-11-27 15:57:01.207163+00'),
('12', '15', E'\\x21244250e608d4c85be7aaa1619218f363ed13fc1e5fa0ade3e659fa3bf0d069', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.txt', 'Claim NM-26-00871: documents we need

1. Photographs of the kitchen and the hall, one from each corner.
2. The invoice of the dishwasher, or its model and year.
3. The plumber''s report on the burst hose.
4. An estimate for drying and for the new floor.
', NULL, 'text/plain', 'false', 'ascii', '{}', '[]', '{}', '{}', 'chardetng-py', 'local', 'plain', '0.3.5', 'false', 'run-1', '2026-11-27 15:57:02.13991+00'),
('13', '2', E'\\x8118237320493aaa1a0d73b57a38ffa89fbeb2f5bed7febaeb35ea8909cc2341', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.md', '# Edited

The second version of another text.
', 'Edited', 'text/markdown', 'true', 'ascii', '{}', '[{"level": 1, "title": "Edited", "offset": 0}]', '{}', '{}', 'chardetng-py', 'local', 'plain', '0.3.5', 'false', 'run-2', '2026-11-27 15:57:02.406347+00'),
('14', '16', E'\\x5563aa9d98068d635a8ea0669345b12973c8e2f530fc637a314697bf9919391a', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@+stand-in', '.html', '# Outage

This page was parsed while the service was unavailable.', 'Outage', 'text/html', 'true', 'ascii', '{}', '[{"level": 1, "title": "Outage", "offset": 0}]', '{}', '{"tables": 0, "visible_characters": 53}', 'lxml', 'local', 'main-text', '6.1.3', 'true', 'run-3', '2026-11-27 15:57:05.591802+00'),
('15', '17', E'\\x5f08198d7373b24f5cd49f9cbe03ac0421156d854c5ce7e31f324bc6e7708275', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.md', '# Outage

This text was embedded while the service was unavailable.
', 'Outage', 'text/markdown', 'true', 'ascii', '{}', '[{"level": 1, "title": "Outage", "offset": 0}]', '{}', '{}', 'chardetng-py', 'local', 'plain', '0.3.5', 'false', 'run-3', '2026-11-27 15:57:05.610814+00'),
('16', '18', E'\\xde04492064f103376c3cddb5bcebb2bb9f70ebb4a70d48ca4f5e708c317413dc', 'llamaparse1:cost_effective:2026-09-28 local/@PARSER@', '.md', '# Deferred

There was no budget left for this text.
', 'Deferred', 'text/markdown', 'true', 'ascii', '{}', '[{"level": 1, "title": "Deferred", "offset": 0}]', '{}', '{}', 'chardetng-py', 'local', 'plain', '0.3.5', 'false', 'run-5', '2026-11-27 15:57:09.43266+00');
INSERT INTO tvdb.chunk_sets (chunk_set_id, parsed_id, document_id, fingerprint, chunk_count, token_count, run_id, created_at, has_words) OVERRIDING SYSTEM VALUE VALUES
('3', '4', '4', '@CHUNKER_128@', '1', '12', 'run-1', '2026-11-27 15:57:01.086232+00', 'true'),
('4', '5', '5', '@CHUNKER_128@', '6', '483', 'run-1', '2026-11-27 15:57:01.086232+00', 'true'),
('5', '6', '7', '@CHUNKER_128@', '3', '245', 'run-1', '2026-11-27 15:57:01.086232+00', 'true'),
('6', '7', '8', '@CHUNKER_128@', '3', '262', 'run-1', '2026-11-27 15:57:01.086232+00', 'true'),
('7', '8', '9', '@CHUNKER_128@', '4', '431', 'run-1', '2026-11-27 15:57:01.086232+00', 'true'),
('8', '9', '11', '@CHUNKER_128@', '4', '498', 'run-1', '2026-11-27 15:57:01.086232+00', 'true'),
('9', '1', '10', '@CHUNKER_128@', '33', '3878', 'run-1', '2026-11-27 15:57:01.086232+00', 'true'),
('10', '10', '12', '@CHUNKER_128@', '1', '9', 'run-1', '2026-11-27 15:57:01.223037+00', 'true'),
('11', '11', '13', '@CHUNKER_128@', '1', '8', 'run-1', '2026-11-27 15:57:01.223037+00', 'true'),
('12', '12', '15', '@CHUNKER_128@', '1', '65', 'run-1', '2026-11-27 15:57:02.142701+00', 'true'),
('13', '13', '2', '@CHUNKER_128@', '1', '10', 'run-2', '2026-11-27 15:57:02.426456+00', 'false'),
('14', '15', '17', '@CHUNKER_128@', '1', '14', 'run-3', '2026-11-27 15:57:05.614778+00', 'false'),
('15', '14', '16', '@CHUNKER_128@', '1', '14', 'run-3', '2026-11-27 15:57:05.614778+00', 'false'),
('16', '5', '5', '@CHUNKER_64@', '10', '483', 'run-4', '2026-11-27 15:57:09.192938+00', 'false'),
('17', '9', '11', '@CHUNKER_64@', '10', '528', 'run-4', '2026-11-27 15:57:09.192938+00', 'false'),
('18', '16', '18', '@CHUNKER_128@', '1', '12', 'run-5', '2026-11-27 15:57:09.442598+00', 'false');
INSERT INTO tvdb.chunks (chunk_id, chunk_set_id, document_id, ordinal, start_offset, end_offset, page_first, page_last, heading_path, token_count, text_sha256, text, service, mode, model, version, is_degraded, run_id, lead) OVERRIDING SYSTEM VALUE VALUES
('3', '3', '4', '0', '0', '45', NULL, NULL, '{Gone}', '12', E'\\x6277482e9ccc12f700f79f9dc4242388ae2dc5eccf18af77761fa2c7f2e9b06d', '# Gone

This file is no longer in the source.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('4', '4', '5', '0', '0', '420', NULL, NULL, '{"Underwriting Guidelines: Residential Property"}', '97', E'\\x5e1a86a391507347fa45924fea3d488081893113875a3bbbd423d8ce0fbaac79', '# Underwriting Guidelines: Residential Property

Northlight Mutual (fictional), property desk. Edition 7, January 2026.

These guidelines tell the underwriter which houses we accept at once, which ones need a referral, and which ones we decline. They bind the desk, not the policyholder.

## 1. Authority

An underwriter may bind a single house up to a dwelling limit of **$750,000**. Larger risks go to the senior desk:', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('5', '4', '5', '1', '422', '574', NULL, NULL, '{"Underwriting Guidelines: Residential Property","1. Authority"}', '47', E'\\xed3fa7e482d4d1fb19efce73f1fa678fd537bf0183f29696e8005b8952e523d7', '1. up to $1,500,000: senior underwriter;
2. up to $3,000,000: head of property;
3. above that: facultative reinsurance must be in place before we quote.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('6', '4', '5', '2', '576', '982', NULL, NULL, '{"Underwriting Guidelines: Residential Property","2. Construction and Age"}', '110', E'\\x8d52ba39d597a599d967dbd2c8e8c14d2fc46b3fdcdc725b1c0d9ee5eafb0a54', '## 2. Construction and Age

| Construction | Up to 25 years | 26 to 60 years | Over 60 years |
|---|---|---|---|
| Masonry, tile roof | Accept | Accept | Refer |
| Wood frame, asphalt roof | Accept | Refer | Refer |
| Wood frame, shake roof | Refer | Decline | Decline |
| Log or earth wall | Refer | Refer | Decline |

Roofs older than 20 years are written at actual cash value, whatever the construction.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('7', '4', '5', '3', '984', '1379', NULL, NULL, '{"Underwriting Guidelines: Residential Property","3. Protection Class"}', '94', E'\\xb2fec23baf2970e27f343f4a937b3e9e9086228e9b0940d282b4b0f8016b15ed', '## 3. Protection Class

- A hydrant within 300 meters and a fire station within 8 kilometers: standard rate.
- Only one of the two: surcharge of 15 percent.
- Neither: decline unless the house has a residential sprinkler system.

### 3.1 Wood Stoves

A wood stove is acceptable if a professional installed it and the chimney was swept within the last 12 months. Ask for the invoice of the sweep.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('8', '4', '5', '4', '1381', '1858', NULL, NULL, '{"Underwriting Guidelines: Residential Property","4. Loss History"}', '107', E'\\x28c18dd37495ca49f0942c306fc28c415376d1a83ac7dfb7e6d12de1e2d98786', '## 4. Loss History

> More than two paid losses in the last five years, or a single unexplained fire, is a referral. No underwriter may waive this rule.

Water losses count double if the plumbing is galvanized steel and has not been replaced.

## 5. Rating Formula

The technical premium is computed as follows and rounded to the full dollar:

```text
premium = limit / 1000 * base_rate * construction * protection
        - deductible_credit
        + minimum_expense_load
```', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('9', '4', '5', '5', '1860', '1995', NULL, NULL, '{"Underwriting Guidelines: Residential Property","5. Rating Formula"}', '28', E'\\xc19c67f10d2303642860f6fcf098ff7a5de98f0fcf360f8a1bd5ee34614a867a', 'The minimum expense load is $120. A premium more than 10 percent below the technical premium needs the consent of the head of property.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('10', '5', '7', '0', '0', '369', NULL, NULL, '{}', '99', E'\\x417b33b7e3748ff7e0fce9932bf17b0a84c10d28caff7c789a7cb87b2b86bd9b', 'From: Northlight Mutual Claims Desk <claims@example.com>
To: Policyholder <policyholder@example.org>
Subject: Claim NM-26-00871: we have received your water damage claim
Date: Tue, 10 Mar 2026 09:42:00 +0000

Dear policyholder,

thank you for telling us about the water damage in your kitchen. We have
opened claim NM-26-00871 under your homeowners policy NM-HO-204417.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('11', '5', '7', '1', '371', '784', NULL, NULL, '{}', '100', E'\\xac85555e5942ba732c7aff4e9530d894220aa7fffa3db0ef22a539570e12f71e', 'What you told us: on 8 March 2026 the supply hose of the dishwasher burst and
water ran under the kitchen floor and into the hall.

What happens next
- A field adjuster will visit the house on Friday, 13 March, between 9 and 11.
- You may dry the floor and have the hose replaced at once. Please keep the
  broken hose and all receipts.
- Please do not throw away damaged flooring before the adjuster has seen it.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('12', '5', '7', '2', '786', '998', NULL, NULL, '{}', '46', E'\\xdb5d047be4dce306807d3842bebeb05122e46abb78514715f511aab489dec73d', 'The deductible of $1,500 applies to the building and $500 to the appliance.
The attached list shows the documents that we need from you.

Kind regards
Claims desk, Northlight Mutual (fictional)
claims@example.com', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('13', '6', '8', '0', '0', '351', NULL, NULL, '{}', '102', E'\\xa8bd67ab0fbdd9fcd21a2b43320b09482743682fa4920f57bc49b4be5d353377', 'BROKER NOTES – renewal round, spring 2026

Café and bakery, two branches
Wants to add the new terrace and a €45,000 espresso and pâtisserie line. The
owner’s asking price for the fit-out was €180,000 – underinsured by about a third.
Ask the property desk for a survey before 15 May. Premium last year €2,310,
indication for this year €2,640 to €2,790.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('14', '6', '8', '1', '353', '664', NULL, NULL, '{}', '75', E'\\x61f95e9ed4caa1514f9ef01a9298eeee30e97f28fa574f22c9e0dc4261dba733', 'Furniture maker, façade workshop
Sawdust extraction has been renewed; the certificate is on file. The insurer
offers 7.5 % off if sprinklers are fitted – payback is roughly four years. The client
says “not this year”. Note the naïve assumption in the old proposal that stock is
constant: it doubles in November.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('15', '6', '8', '2', '666', '1002', NULL, NULL, '{}', '85', E'\\xacb7e247f7169108bef5abf74d6f9a32894a04881c0225a89eb67829e05c1920', 'Translation bureau, six employees
Professional indemnity, limit €500,000. One incident in 2024 (a decimal comma
read as a thousands separator, settled for €12,400). Résumés of new staff needed.
Excess stays at €2,500.

Next call: week 21. Bring the comparison of fire ratings, and ask both markets
whether they waive average up to 15 %.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('16', '7', '9', '0', '0', '433', NULL, NULL, '{"Cyber Policy for Small Businesses"}', '104', E'\\x4aac22fa7c7be2fad9699767226fe92c941c70d075e377cb56e57b0623aef57f', '# Cyber Policy for Small Businesses

Quillstone Cyber Underwriting, a fictional company. Policy number QCU-26-1180 (specimen). Policy period: 1 May 2026 to 1 May 2027.

## 1. Incident Response

Call the incident line as soon as you suspect an attack. It is staffed day and night. We appoint and pay forensic investigators, privacy lawyers and a public relations adviser for the first 72 hours, and no retention applies to their fees.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('17', '7', '9', '1', '435', '919', NULL, NULL, '{"Cyber Policy for Small Businesses","2. Ransomware and Extortion"}', '111', E'\\x8aaac95da7d58022928d8f647d69e4771b2cb9b470b7de77ac5885288f303688', '## 2. Ransomware and Extortion

We reimburse a ransom only if we agreed to it in writing beforehand, if payment is lawful, and if no usable backup exists. The limit for ransomware is $250,000, and 20 percent of every ransom stays with you.

## 3. Business Interruption

We pay lost net profit and continuing expenses while your systems are down because of a security failure. Payment starts after a waiting period of 10 hours and ends when the systems are restored, or after 120 days.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('18', '7', '9', '2', '921', '1247', NULL, NULL, '{"Cyber Policy for Small Businesses","3. Business Interruption"}', '104', E'\\xeaae63e411d84f42d451c467b0a290397f2fe4fc876bd0a40546832bddd99994', '| Cover | Limit | Retention |
|---|---|---|
| Incident response | $500,000 | None |
| Data restoration | $300,000 | $5,000 |
| Ransomware and extortion | $250,000 | $10,000 |
| Business interruption | $400,000 | 10 hours |
| Privacy liability | $1,000,000 | $10,000 |
| Payment fraud by deceptive e-mail | $100,000 | $15,000 |', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('19', '7', '9', '3', '1249', '1793', NULL, NULL, '{"Cyber Policy for Small Businesses","4. Security Requirements"}', '112', E'\\x28a59c31ed9af0f2443a8f323b474d9f2bb933a89a218ab6bbe1ecb3ee6e8383', '## 4. Security Requirements

Cover depends on the following being in place throughout the policy period:

- multi-factor authentication for remote access and for every administrator;
- a backup at least weekly, one copy of which cannot be reached from the network;
- security updates installed within 30 days of release.

## 5. Exclusions

We do not pay for failure of the public power grid or of the internet, for wear of hardware, for acts of war between states, or for the cost of making your systems better than they were before the attack.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('20', '8', '11', '0', '0', '439', NULL, NULL, '{Table}', '128', E'\\xaed383747eeeb7086f331eb9bb6ec4bd0cdb39174b4f866d077c81cc59f8643a', '# Table

| building | premium |
|---|---|
| house 0 in the row of houses | 0 euros a year, paid on the first of March |
| house 1 in the row of houses | 100 euros a year, paid on the first of March |
| house 2 in the row of houses | 200 euros a year, paid on the first of March |
| house 3 in the row of houses | 300 euros a year, paid on the first of March |
| house 4 in the row of houses | 400 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('21', '8', '11', '1', '440', '839', NULL, NULL, '{Table}', '120', E'\\x13eee14c7bb4746c0faa2fadb89c25d70b60233d06a7f16e94b6447673b7a800', '| house 5 in the row of houses | 500 euros a year, paid on the first of March |
| house 6 in the row of houses | 600 euros a year, paid on the first of March |
| house 7 in the row of houses | 700 euros a year, paid on the first of March |
| house 8 in the row of houses | 800 euros a year, paid on the first of March |
| house 9 in the row of houses | 900 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', '| building | premium |
'),
('22', '8', '11', '2', '840', '1249', NULL, NULL, '{Table}', '125', E'\\x61f15b400f5e56e3828cdce4d37445a084784f99ff27d22d97a1152209adcce7', '| house 10 in the row of houses | 1000 euros a year, paid on the first of March |
| house 11 in the row of houses | 1100 euros a year, paid on the first of March |
| house 12 in the row of houses | 1200 euros a year, paid on the first of March |
| house 13 in the row of houses | 1300 euros a year, paid on the first of March |
| house 14 in the row of houses | 1400 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', '| building | premium |
'),
('23', '8', '11', '3', '1250', '1659', NULL, NULL, '{Table}', '125', E'\\x491839a08aa502e576ddd65be57f5991744b4a4232c848720baed3325eee5f96', '| house 15 in the row of houses | 1500 euros a year, paid on the first of March |
| house 16 in the row of houses | 1600 euros a year, paid on the first of March |
| house 17 in the row of houses | 1700 euros a year, paid on the first of March |
| house 18 in the row of houses | 1800 euros a year, paid on the first of March |
| house 19 in the row of houses | 1900 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', '| building | premium |
'),
('24', '9', '10', '0', '0', '323', '1', '1', '{}', '126', E'\\x376cce23848454ad064ec276c3a70da416164b678b7e3fdb21a642d66bbbf5f5', '%PDF-1.4
%���� ReportLab Generated PDF document (opensource)
1 0 obj
<<
/F1 2 0 R /F2 3 0 R /F3 4 0 R
>>
endobj
2 0 obj
<<
/BaseFont /Helvetica /Encoding /WinAnsiEncoding /Name /F1 /Subtype /Type1 /Type /Font
>>
endobj
3 0 obj
<<
/BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding /Name /F2 /Subtype /Type1 /Type /Font
>>', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('25', '9', '10', '1', '324', '615', '1', '1', '{}', '119', E'\\xcc162c83918ffb1c5c25dcda4925ccab49d9c128b15b9263fddf99f1a1874072', 'endobj
4 0 obj
<<
/BaseFont /Times-Roman /Encoding /WinAnsiEncoding /Name /F3 /Subtype /Type1 /Type /Font
>>
endobj
5 0 obj
<<
/Contents 19 0 R /MediaBox [ 0 0 595.2756 841.8898 ] /Parent 18 0 R /Resources <<
/Font 1 0 R /ProcSet [ /PDF /Text /ImageB /ImageC /ImageI ]
>> /Rotate 0 /Trans <<', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('26', '9', '10', '2', '617', '860', '1', '1', '{}', '107', E'\\x9636d28b8313a0658aec79e8271fd19eb4694e6627de1e1438915c846e12fb8e', '>> 
  /Type /Page
>>
endobj
6 0 obj
<<
/Contents 20 0 R /MediaBox [ 0 0 595.2756 841.8898 ] /Parent 18 0 R /Resources <<
/Font 1 0 R /ProcSet [ /PDF /Text /ImageB /ImageC /ImageI ]
>> /Rotate 0 /Trans <<

>> 
  /Type /Page
>>
endobj
7 0 obj
<<', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('27', '9', '10', '3', '861', '1210', '1', '1', '{}', '127', E'\\x3f4c826eb653234b34d4a0e2cfa6890a771001d073fb6e512373aee2c084aa8c', E'/Outlines 9 0 R /PageMode /UseNone /Pages 18 0 R /Type /Catalog
>>
endobj
8 0 obj
<<
/Author (Demo) /CreationDate (D:20000101000000+00''00'') /Creator (\\(unspecified\\)) /Keywords () /ModDate (D:20000101000000+00''00'') /Producer (ReportLab PDF Library - \\(opensource\\)) 
  /Subject (\\(unspecified\\)) /Title (Pet Policy) /Trapped /False
>>
endobj
9 0 obj', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('28', '9', '10', '4', '1211', '1483', '1', '1', '{}', '127', E'\\x63c82afc912d36f6856fe731b5cae06624da899caec8c2625bd61aebf882d83b', '<<
/Count 9 /First 10 0 R /Last 10 0 R /Type /Outlines
>>
endobj
10 0 obj
<<
/Count 7 /Dest [ 5 0 R /Fit ] /First 11 0 R /Last 17 0 R /Parent 9 0 R /Title (Pet Policy)
>>
endobj
11 0 obj
<<
/Dest [ 5 0 R /Fit ] /Next 12 0 R /Parent 10 0 R /Title (1. What We Pay)
>>
endobj', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('29', '9', '10', '5', '1484', '1722', '1', '1', '{}', '112', E'\\xbc203d88461d5eb03e650e686b43aa0aee0f4f9743ea55f8bee3e5ba22e3df73', '12 0 obj
<<
/Dest [ 5 0 R /Fit ] /Next 13 0 R /Parent 10 0 R /Prev 11 0 R /Title (2. Waiting Periods)
>>
endobj
13 0 obj
<<
/Dest [ 6 0 R /Fit ] /Next 14 0 R /Parent 10 0 R /Prev 12 0 R /Title (3. What We Do Not Pay)
>>
endobj
14 0 obj
<<', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('30', '9', '10', '6', '1723', '1940', '1', '1', '{}', '101', E'\\x643ffd2db499c0c4c6d46ac954b329d77ab680bfaff23c3d479cb2d69a72fb75', '/Dest [ 6 0 R /Fit ] /Next 15 0 R /Parent 10 0 R /Prev 13 0 R /Title (4. Conditions)
>>
endobj
15 0 obj
<<
/Dest [ 6 0 R /Fit ] /Next 16 0 R /Parent 10 0 R /Prev 14 0 R /Title (5. Making a Claim)
>>
endobj
16 0 obj
<<', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('31', '9', '10', '7', '1941', '2203', '1', '1', '{}', '123', E'\\xa32b3f5d02bbee88d7afa3ff4b2fbb6f75da805acfc057023755c8b20bba6700', '/Dest [ 6 0 R /Fit ] /Next 17 0 R /Parent 10 0 R /Prev 15 0 R /Title (6. Third-Party Liability)
>>
endobj
17 0 obj
<<
/Dest [ 6 0 R /Fit ] /Parent 10 0 R /Prev 16 0 R /Title (7. Renewal)
>>
endobj
18 0 obj
<<
/Count 2 /Kids [ 5 0 R 6 0 R ] /Type /Pages
>>
endobj', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('32', '9', '10', '8', '2204', '2278', '1', '1', '{}', '27', E'\\x8bac32510df87788d104e4269b0f284fb9e25c40d198afd4afecad8bd100e23f', '19 0 obj
<<
/Filter [ /ASCII85Decode /FlateDecode ] /Length 1844
>>
stream', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('33', '9', '10', '9', '2279', '2442', '1', '1', '{}', '127', E'\\x8293d3029563f9c67e7337e08cfe795103453e62e4de8c229b7a33b88e1615b1', E'GauHM>E>75''RnB33"K/+>%K*?Qb[+Ch-'',VWcT1s<N.VmiWN=j=9D:hn+RY3#\\bF2ZeC8u!XI$6oD/1:L4G7*;ZD\\RJ2_7gog"%(=Drc#Q4*"CiKs5]U7k4N!#>lW-_t.\\Neb+%Y?tpC!;i/eT3@7N.4g+eZ5qpj$D''', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('34', '9', '10', '10', '2442', '2611', '1', '1', '{}', '128', E'\\x45fe767b9847401fc7da78f41c1d77662a885ca9db28951eda4df5ab4a220c34', E'VeO>q-%07aY4b/^\\3>lId9fb$Boi1]6SZ10G,0!b]f4U[TD@%G0j]1eK0,''Ir4O&]>fj9;X"_#!03]<4dX8$BJtng[:#F9%_3nF#gq[D)CJJ5H-SMA*Y_U&C"bX>N+N.W+#GS&"2KS(psBo8A/gKZ"3bUnjnt`HE5TfbWf)C]', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('35', '9', '10', '11', '2611', '2779', '1', '1', '{}', '127', E'\\xac2cf6009e7a3848d8f270dd73d7d5a77782a5ed062d96c5c06fc82d57c4a0e5', 'DVm1Y[&R^^D.;.[1G18OFb;GLk@_Y9#)g<tjoPRb,.d0;1-"%.ZQ1Y/!)oKtSi-8SC+_Q6l3>KN]G,9AB#"FL-=o0,990bF)Z%mJMLe[278d+.N@!kVloE&:Q5`egc_=LU@J`DkPKrH''C#%8s.5)ctr>VbAepb#:Z''3L@tF7', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('36', '9', '10', '12', '2779', '2947', '1', '1', '{}', '128', E'\\x30e7ae27268ac44f6df43b75af8167fd86b5b1301974d3ecd4b863fc248df3fb', E'-pCh84u`:pC3$$E2d''+;X4p9+7elC*6&ius`8Tl1c''^[FJAG8SRR@i[btW<X,3P(Z\\a9.kV<K$U>1Vr*<pA''Io*nP$,/C#a1jIUFD1G3?p;5=0)9+p[ZeY[\\nI;ap''^(qh4Cq-:ORU=$5]''-$3)WlnM`g0l&S(e&lrVJtaG.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('37', '9', '10', '13', '2947', '3121', '1', '1', '{}', '126', E'\\x32d3984405ab023fadd331a6f48d03e3586a3c5d972260f4d00d13c4dffd7877', E'+3L73Z)Gi2At@]D?.LGFM]XlU;YhspTeb]8cdkMitrB3q.T:6@$n@T@J:k:g$lmS%0cDVMipcQ4!((A;9IVp8ZCf2,hHKPjTHFolupEnXq6FK1dNNS%QZX*Hpk"FRfhng8Bq\\X\\s2H@,+P67h["f$bsi&IUeBXFuWS<pY#/o&r++FX', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('38', '9', '10', '14', '3121', '3289', '1', '1', '{}', '126', E'\\x269b04a6243dbaf6d69ad1a507437b7a4bf4859a2515acbca8c087ed052f25ee', E'M6j8.JNp4''CTQLlgYR.:\\AuMA6uuSe@&<Y:+P%rlRlUE2gOQ6ue("YCpbin:6-^''$6%5n4LbT''g@4&BK`(+"Rm0FZ5''Af:NkM.EOINn&3F%1VF#f=rF15)VC_M,<UJM-PWDc^pnkp<XI%#h"qFe4TSOItf-@``.2,T0e0\\9L', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('39', '9', '10', '15', '3289', '3450', '1', '1', '{}', '127', E'\\xaee9efb5f6378df12c6ca58af07826c7574a458ce42b083388fa598d7e58fa86', 'iYlC-2QC*.^+gP$"m^em.*gcaObuoU0`Ap3oaH^8dH''kLdcVDWe8F=3&#T%Z>k5!F#>M''tA(%4J*/N3Zg^`<d>tnmINq95mNfi6q!jfuGpQ^B93$!k1m$Y`9K8".QBC;''C;uP5FBoFV#[-5(r(Q0KB_7q>dAW/`!F', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('40', '9', '10', '16', '3450', '3618', '1', '1', '{}', '127', E'\\xb8702c81b7923217dd437b19c4c7fc1430961b06ff8e076bdf669d38c81d386c', E'<Y;9&7h:ff;qsK:oPK(Jnh*]8?e9;\\_460)JOrIF(aH+@a%Z`1X6dkXpL4*ST!4M`O=uQ3`Z-/UD]iQab!8sbnsmeE/''*iCj[X!L*!3oI]/G[MlOFQ;-Ak]cB^+Ne@@et.RW=X4;g)</&dE;M-RND=9E-eF4=2!(5B&%LC$i', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('41', '9', '10', '17', '3618', '3790', '1', '1', '{}', '126', E'\\xbd3cee48e115bf3fe98a5aa8a5d01adb0dd5982842a1456b598b5db2cf4bbfbe', E'8(j\\rj$$7&cpI5HFCc,R<^2d526J#]#XVBYK[:tLg89?;(UIf991L._C;@kX$Ubb#3<Z(S=IrHi^!aEqXfZ+''Z>TNaK]u30j[4,.XEE;.pSALcc,3I&tmUiR"#''X[7r[e?Q(q(ne:K?$KSiD%#_k<Sc@OB(>?p[[GN+lg+TjagHJ', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('42', '9', '10', '18', '3790', '3964', '1', '1', '{}', '128', E'\\xca1ea3f8447301262557918f78ae4fd30c9c9d40386017707229d581652602d8', E'@+Rc^@!Lt%J.M-^O,HrRt%Ssg6ZZeI6IbKL8QsQ#WaNr?&SfQ)m.cW$_9*$p^lKcRlaHeCYVE)[MKrIf]=t#T]PR[8NntrTE,r!/UdY2l[QV>?XIZN1!%SDNbKto4AQ(aU,''>E#fpOs\\D80(DgZFhl$kWNTb`#dU=;29<B''Op6g>mY', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('43', '9', '10', '19', '3964', '4151', '1', '1', '{}', '127', E'\\xa7036764e674966861273355d7c3c3b2bb176d4d404a0d4dc661e36712f4f549', E'=W5U]ef>FYo8*`n.''jP\\$o9$`JCko5*DO(pXE(1G0?P-L3H=BEiDeqU,u`piU3Srkr=@rV1`auu[m/U#%5/(Y%FRq9ED^B&N@6b:g?D-ZnceOD.GO0fc$(a.X]4h&r@Qq2aDq&t.]I@T5Ja\\Sm6Aho"_Z+_])~>endstream
endobj
20 0 obj
<<', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('44', '9', '10', '20', '4152', '4214', '1', '1', '{}', '20', E'\\x4f4ba2fa87807df5a37a4a0bc8d0d049db7969a93233097c1472ebaa9292e194', '/Filter [ /ASCII85Decode /FlateDecode ] /Length 1591
>>
stream', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('45', '9', '10', '21', '4215', '4386', '1', '1', '{}', '128', E'\\xec16a4b4a6d25523a2c2ba1046ad5f05c3e2fe50713f6e4ebb3bfbbe45598a27', E'Gau0C9lo&I&A@sBm%FZ^,;TJ;,Y_''+g9dDB12`h#0"JbC-mBu="U([mhtI/5p#4Pcm;]3FCBtL(h=l*MXr,.Q0`SoSLgDauj]b2*Tg_[,M_\\JKUH]N,;)6H7Ro.+9EB6lDb0h8&o^U86BL\\II77@ic7?Z#>2N-RZjj[/!-IJ?[f', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('46', '9', '10', '22', '4386', '4561', '1', '1', '{}', '126', E'\\xc0b35a5bcb2458d4998c062696cf0423ff3f567635dabdf9e4906ea6aabfb3ed', E'm^''":UmF?hir#.S)r>SqTKhL8&a%;<nZ''KSWS1=_&Z"''Nm9k&A"-LO)b]W)47MqI/\\]Zmf3;moN(''`;q<7=EDIkhkdLgnPIrW$/aR^9Bik)D(0q[Ta5E2T?L:>lYi@Ms,^7<71+t:7=\\AsFdMro(GEcf8H?OBCrf9@6pqf_[=fQeC[n', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('47', '9', '10', '23', '4561', '4727', '1', '1', '{}', '127', E'\\x4df956a211bbc6c0c6b0db8155ff0295d4554009b40e5893aaf27dc434212d0a', E'lZ="Y^7H>!D''Y/2KLc_^.jCu%bN%M\\=TT1I;ZQkc[pVtoKc]mjPtgaJ+1"d"#enZE*ocdrlf44i2@%V$_''nPXR''dtMskM1]C31R#V%.?]_U=fonlAD.VY_[A6j;*UGnpA?7o5B+`5(GVmWbG8B$SL$KPDg:$>4!g''G>7W0', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('48', '9', '10', '24', '4727', '4900', '1', '1', '{}', '128', E'\\x78745dc3550ca4938a8cb450d4da1742eb14a978d8f1e4d40637cd1bad9d9146', E'X<iZjO@K_OJ,WLS_l8%EJE^Gn\\,AfT&]o(WT=)/q#Eo#:Ak+0"Ve,IsG/u%L:dB2TTQ"32*nuS?*=XG!ajg/WJ=i7rd3[fuhhPO2Mdk!H*XN*WV4nOrJBZP%''aTCe,%14:[P+7Yo1l]/!ip\\3_[T5aQNY@_S"%SHjgMA3W5q!u$_(', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('49', '9', '10', '25', '4900', '5058', '1', '1', '{}', '127', E'\\xbcdb56ddca98ed25fff0af89c62c38cbddc7a88ac56ecde6ede701bdb4dacefa', ';)EYP[G`]>k#2"g#M"^G^Ki)"TJ);;&j8f#:lR''"5q["(jMh:PaGQT"`.<cc!O9/VEC0ZuLrcV^W<["Zk]@]i]/WGS"*C1D3e@(h0i`VfK/+G2`Bt3iX8/=`N''3ZaB+_hf;9&U2B6h<g!h%o)jBm9T^uJ%1a=H', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('50', '9', '10', '26', '5058', '5235', '1', '1', '{}', '126', E'\\x9bcc8d2e9c5439b3bb70fe45bedbcec1117edb3f2de7e08d21a6ea8b3c3518bc', E'd&LLNN#[0)K=.(JeYF=kE<WRTCC00MH-/$^(T=qT/6?ON3:=LaWTHl''YFYI/]e$La@FD6&''`Y#[56n[<2g[X&VBWn%fCTSS;Zk`m''IDr*=>)I2Go%pn]Lfid\\:k`=3>HiH1+7#=GRfir=5e%Fjhp-[^.,^D<)o8)8pCTl.XVWG*Fl!621', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('51', '9', '10', '27', '5235', '5404', '1', '1', '{}', '128', E'\\x8772d33d00520255b67855d03eb22fed6b4f71e796fed6e85e083006395257ee', E'/XZ9Os%0/>QrIkg;!-MF1^`>!Eh+!(2J<cI->X,VXb3"B0ZES5%4,K<KYo7u9*d8@pI<L:cqCu\\U68!1[LKN)l@F7iD(C]_=MqI2qfdIE0G_1NII1&X[R!''+)fXNQ>UbVs2;GNiY"!@*-mdZeYYR4$6NjR2%K-BT>ZToMA/eJ', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('52', '9', '10', '28', '5404', '5567', '1', '1', '{}', '127', E'\\x2bdba88c9b10dfe7c943c397f5251855612515772729e726170515cbced11568', E'*Za!f/BGtTbMb@sS8FIh=P-)*ha1?AY5*bcTlRh5s?r/Q3ZBskB&E&6\\p*`dn4RXuep1P`jMfql832/mL''t&"j''g&F6%cG#@!N#4dYOeD$^Ee(eM)"_63O[?g_>M^7:M]H.FDl;r]7M!iQqrW0K=XO]I]2l/ZLuY2J#', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('53', '9', '10', '29', '5567', '5736', '1', '1', '{}', '128', E'\\xb353e1fab4ed53017b02e4ed3b8af9cc357d0653f1bb024309212a5f11a819fc', 'i88?=-$s3tO5m1T+D=JGO@kr/gb3bFX^iBga%s&t>Y''5Bj_n9:ng75h:''04D;a&"#@0sBmbN!9b@)''#L$@S]+YGE"[PW.5m(A7n)nhX()gndf>?^uSq:!)q$KR"[02uU4C6f6$Td*;^Z;GO/rf)Ucs^;T_JbV7ETN/ULX=X-g', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('54', '9', '10', '30', '5736', '5951', '1', '1', '{}', '122', E'\\x9d68ebeb214b6711e0fd6066118d7cf5038e2e0d24e7d233fc6e2e97b141cbe7', E'r$0uR?)f''rG?0Zq6r''kH@R\\tJm-#:N''lj<h/@cmE,lMkJk<93=$6lJ;gpY9dFnQ)9+8!~>endstream
endobj
xref
0 21
0000000000 65535 f 
0000000061 00000 n 
0000000112 00000 n 
0000000219 00000 n 
0000000331 00000 n 
0000000440 00000 n', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('55', '9', '10', '31', '5953', '6231', '1', '1', '{}', '125', E'\\xf22d20ad7aafc0ccf8b01990583c067beda4293b7a7598738f18b183ae269a87', '0000000645 00000 n 
0000000850 00000 n 
0000000935 00000 n 
0000001203 00000 n 
0000001276 00000 n 
0000001389 00000 n 
0000001484 00000 n 
0000001596 00000 n 
0000001711 00000 n 
0000001818 00000 n 
0000001929 00000 n 
0000002047 00000 n 
0000002138 00000 n 
0000002204 00000 n', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('56', '9', '10', '32', '6233', '6455', '1', '1', '{}', '100', E'\\x94790760dac247ab59800d014b782205819ca94779f69550350725064fb95320', '0000004140 00000 n 
trailer
<<
/ID 
[<57e89b478cd74e35dabbeb25eb4bccc1><57e89b478cd74e35dabbeb25eb4bccc1>]
% ReportLab generated PDF document -- digest (opensource)

/Info 8 0 R
/Root 7 0 R
/Size 21
>>
startxref
5823
%%EOF', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('57', '10', '12', '0', '0', '31', NULL, NULL, '{One}', '9', E'\\x770fbd7c61082db7b208ed510803327e23a2381901ae139202775901fa48a6ef', '# One

Flood damage is covered.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('58', '11', '13', '0', '0', '27', NULL, NULL, '{Two}', '8', E'\\x9aad5af84cabdcffd9215b1f432772278063edb4749d780e14f1eb3b85bd5ccf', '# Two

Fire is not covered.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('59', '12', '15', '0', '0', '252', NULL, NULL, '{}', '65', E'\\x03ab75bac918923c93b138fc4bcc215cb006ef7aebef06cad2e68205b955a929', 'Claim NM-26-00871: documents we need

1. Photographs of the kitchen and the hall, one from each corner.
2. The invoice of the dishwasher, or its model and year.
3. The plumber''s report on the burst hose.
4. An estimate for drying and for the new floor.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-1', ''),
('60', '13', '2', '0', '0', '45', NULL, NULL, '{Edited}', '10', E'\\x0e45a8d530dec6d969f53eca734cd9ea6860834f9d48603daa26321e8eaa56ba', '# Edited

The second version of another text.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-2', ''),
('61', '14', '17', '0', '0', '67', NULL, NULL, '{Outage}', '14', E'\\x22131e523ef7b1ee86097610280ae0c29fa5cf35bc48e02bb0588b287958d30f', '# Outage

This text was embedded while the service was unavailable.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-3', ''),
('62', '15', '16', '0', '0', '65', NULL, NULL, '{Outage}', '14', E'\\x71016f72e98d90ff1433ff130f8508401da02f0012a7ece6aca4b2630d2ec9c7', '# Outage

This page was parsed while the service was unavailable.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-3', ''),
('63', '16', '5', '0', '0', '287', NULL, NULL, '{"Underwriting Guidelines: Residential Property"}', '62', E'\\xbd154c8036cb7b2929818b378c7570f3d943a97762b6f35b70d3d1f418d0b69d', '# Underwriting Guidelines: Residential Property

Northlight Mutual (fictional), property desk. Edition 7, January 2026.

These guidelines tell the underwriter which houses we accept at once, which ones need a referral, and which ones we decline. They bind the desk, not the policyholder.', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', ''),
('64', '16', '5', '1', '289', '420', NULL, NULL, '{"Underwriting Guidelines: Residential Property","1. Authority"}', '35', E'\\x3a47996711fa8e1349bbcb446c3ae5af567137bc94a2ea0f2e77996d652f1203', '## 1. Authority

An underwriter may bind a single house up to a dwelling limit of **$750,000**. Larger risks go to the senior desk:', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', ''),
('65', '16', '5', '2', '422', '574', NULL, NULL, '{"Underwriting Guidelines: Residential Property","1. Authority"}', '47', E'\\xed3fa7e482d4d1fb19efce73f1fa678fd537bf0183f29696e8005b8952e523d7', '1. up to $1,500,000: senior underwriter;
2. up to $3,000,000: head of property;
3. above that: facultative reinsurance must be in place before we quote.', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', ''),
('66', '16', '5', '3', '576', '791', NULL, NULL, '{"Underwriting Guidelines: Residential Property","2. Construction and Age"}', '64', E'\\x277b830d8b68786112472fc2edd87265760b78e6f17c8f49919160f5b876a140', '## 2. Construction and Age

| Construction | Up to 25 years | 26 to 60 years | Over 60 years |
|---|---|---|---|
| Masonry, tile roof | Accept | Accept | Refer |
| Wood frame, asphalt roof | Accept | Refer | Refer |', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', ''),
('67', '16', '5', '4', '792', '982', NULL, NULL, '{"Underwriting Guidelines: Residential Property","2. Construction and Age"}', '46', E'\\x5628e6a794596502c6ac238770094aefd63c5d9b2f9434d6492bfcc13eed6017', '| Wood frame, shake roof | Refer | Decline | Decline |
| Log or earth wall | Refer | Refer | Decline |

Roofs older than 20 years are written at actual cash value, whatever the construction.', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', ''),
('68', '16', '5', '5', '984', '1212', NULL, NULL, '{"Underwriting Guidelines: Residential Property","3. Protection Class"}', '55', E'\\x5ffe23f89636765ea4087729d385a222d7c052880575e7c9dd625acf24e45076', '## 3. Protection Class

- A hydrant within 300 meters and a fire station within 8 kilometers: standard rate.
- Only one of the two: surcharge of 15 percent.
- Neither: decline unless the house has a residential sprinkler system.', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', ''),
('69', '16', '5', '6', '1214', '1379', NULL, NULL, '{"Underwriting Guidelines: Residential Property","3. Protection Class","3.1 Wood Stoves"}', '39', E'\\x81da2c93cb3d66b98b539e113ba2c99ebcb71d9bae567cc0ac22a8cc534bfa9d', '### 3.1 Wood Stoves

A wood stove is acceptable if a professional installed it and the chimney was swept within the last 12 months. Ask for the invoice of the sweep.', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', ''),
('70', '16', '5', '7', '1381', '1623', NULL, NULL, '{"Underwriting Guidelines: Residential Property","4. Loss History"}', '55', E'\\xb72d49854cceeece66703023c28e758b2b225df9ce8859043aeb5889af0bb131', '## 4. Loss History

> More than two paid losses in the last five years, or a single unexplained fire, is a referral. No underwriter may waive this rule.

Water losses count double if the plumbing is galvanized steel and has not been replaced.', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', ''),
('71', '16', '5', '8', '1625', '1858', NULL, NULL, '{"Underwriting Guidelines: Residential Property","5. Rating Formula"}', '52', E'\\xf215db387a53614661059be05f4dbacb5f46d3e398f04bb87c2142a712e01b4e', '## 5. Rating Formula

The technical premium is computed as follows and rounded to the full dollar:

```text
premium = limit / 1000 * base_rate * construction * protection
        - deductible_credit
        + minimum_expense_load
```', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', ''),
('72', '16', '5', '9', '1860', '1995', NULL, NULL, '{"Underwriting Guidelines: Residential Property","5. Rating Formula"}', '28', E'\\xc19c67f10d2303642860f6fcf098ff7a5de98f0fcf360f8a1bd5ee34614a867a', 'The minimum expense load is $120. A premium more than 10 percent below the technical premium needs the consent of the head of property.', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', ''),
('73', '17', '11', '0', '0', '199', NULL, NULL, '{Table}', '59', E'\\x075dc77796d2eb93bade11755af708a3fa7322b7adbe1808db043e4e00a2aa9b', '# Table

| building | premium |
|---|---|
| house 0 in the row of houses | 0 euros a year, paid on the first of March |
| house 1 in the row of houses | 100 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', ''),
('74', '17', '11', '1', '200', '359', NULL, NULL, '{Table}', '51', E'\\x1df7a0add92170ea8aaaa27b51becaddc3e1bfd7dae26003418386267f95eab6', '| house 2 in the row of houses | 200 euros a year, paid on the first of March |
| house 3 in the row of houses | 300 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', '| building | premium |
'),
('75', '17', '11', '2', '360', '519', NULL, NULL, '{Table}', '51', E'\\x49d3ffde6ec661ec95d3f78a75ca9fd5124796067b5c0430aa56245c9d941164', '| house 4 in the row of houses | 400 euros a year, paid on the first of March |
| house 5 in the row of houses | 500 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', '| building | premium |
'),
('76', '17', '11', '3', '520', '679', NULL, NULL, '{Table}', '51', E'\\x827ba9d51cffd03d50471e1915aedb754491759d164d80f5c4a0e6c9c9232946', '| house 6 in the row of houses | 600 euros a year, paid on the first of March |
| house 7 in the row of houses | 700 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', '| building | premium |
'),
('77', '17', '11', '4', '680', '839', NULL, NULL, '{Table}', '51', E'\\x01d5b714f8c4c27bce2ad5d98adc60d9cdd9ee22873b284c71a28e7da19a30ba', '| house 8 in the row of houses | 800 euros a year, paid on the first of March |
| house 9 in the row of houses | 900 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', '| building | premium |
'),
('78', '17', '11', '5', '840', '1003', NULL, NULL, '{Table}', '53', E'\\x5a999513a1980deb1e93b6baede3e61a6ac25feea37c568ce943cbd0185e5919', '| house 10 in the row of houses | 1000 euros a year, paid on the first of March |
| house 11 in the row of houses | 1100 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', '| building | premium |
'),
('79', '17', '11', '6', '1004', '1167', NULL, NULL, '{Table}', '53', E'\\x0f6a7e8cfe8a6bc62a0b637efdd2bab18aadb8bb3615799a0fe22340213933e7', '| house 12 in the row of houses | 1200 euros a year, paid on the first of March |
| house 13 in the row of houses | 1300 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', '| building | premium |
'),
('80', '17', '11', '7', '1168', '1331', NULL, NULL, '{Table}', '53', E'\\xc4bd5ae042bdd2f1c589803e863ccaf00023c2d945acc1b01714a065084dc3cd', '| house 14 in the row of houses | 1400 euros a year, paid on the first of March |
| house 15 in the row of houses | 1500 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', '| building | premium |
'),
('81', '17', '11', '8', '1332', '1495', NULL, NULL, '{Table}', '53', E'\\x69851be5ad457ad1b2dc234508e62251fcb4abd3bfdca6c0f2e0ee0073303e39', '| house 16 in the row of houses | 1600 euros a year, paid on the first of March |
| house 17 in the row of houses | 1700 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', '| building | premium |
'),
('82', '17', '11', '9', '1496', '1659', NULL, NULL, '{Table}', '53', E'\\x03ddcc554214e19816043f6a9bb8a9df3867995acd0c3713d147473f1931366c', '| house 18 in the row of houses | 1800 euros a year, paid on the first of March |
| house 19 in the row of houses | 1900 euros a year, paid on the first of March |', 'chunker', 'local', 'blocks cl100k_base 64/0', '5', 'false', 'run-4', '| building | premium |
'),
('83', '18', '18', '0', '0', '51', NULL, NULL, '{Deferred}', '12', E'\\xaec844008caff57fab166da0776a5b6bd002b2aec2bea63aadeaa007292f0067', '# Deferred

There was no budget left for this text.', 'chunker', 'local', 'blocks cl100k_base 128/0', '5', 'false', 'run-5', '');
INSERT INTO tvdb.chunk_words (chunk_id, words) OVERRIDING SYSTEM VALUE VALUES
('3', '''file'':3 ''gone'':1 ''longer'':6 ''sourc'':9'),
('4', '''000'':58 ''1'':42 ''2026'':13 ''7'':11 ''750'':57 ''accept'':22 ''author'':43 ''bind'':36,47 ''declin'':34 ''desk'':9,38,65 ''dwell'':54 ''edit'':10 ''fiction'':7 ''go'':61 ''guidelin'':2,15 ''hous'':20,50 ''januari'':12 ''larger'':59 ''limit'':55 ''may'':46 ''mutual'':6 ''need'':27 ''northlight'':5 ''one'':26,32 ''policyhold'':41 ''properti'':4,8 ''referr'':29 ''residenti'':3 ''risk'':60 ''senior'':64 ''singl'':49 ''tell'':16 ''underwrit'':1,18,45'),
('5', '''000'':6,13,14 ''1'':1,4 ''2'':9 ''3'':12,18 ''500'':5 ''facult'':21 ''head'':15 ''must'':23 ''place'':26 ''properti'':17 ''quot'':29 ''reinsur'':22 ''senior'':7 ''underwrit'':8'),
('6', '''2'':1 ''20'':47 ''25'':8 ''26'':10 ''60'':12,15 ''accept'':20,21,27 ''actual'':52 ''age'':4 ''asphalt'':25 ''cash'':53 ''construct'':2,5,57 ''declin'':35,36,43 ''earth'':39 ''frame'':24,31 ''log'':37 ''masonri'':17 ''older'':45 ''refer'':22,28,29,34,41,42 ''roof'':19,26,33,44 ''shake'':32 ''tile'':18 ''valu'':54 ''wall'':40 ''whatev'':55 ''wood'':23,30 ''written'':50 ''year'':9,13,16,48'),
('7', '''12'':58 ''15'':25 ''3'':1 ''3.1'':37 ''300'':7 ''8'':14 ''accept'':44 ''ask'':60 ''chimney'':52 ''class'':3 ''declin'':28 ''fire'':11 ''hous'':31 ''hydrant'':5 ''instal'':48 ''invoic'':63 ''kilomet'':15 ''last'':57 ''meter'':8 ''month'':59 ''neither'':27 ''one'':19 ''percent'':26 ''profession'':47 ''protect'':2 ''rate'':17 ''residenti'':34 ''sprinkler'':35 ''standard'':16 ''station'':12 ''stove'':39,42 ''surcharg'':23 ''sweep'':66 ''swept'':54 ''system'':36 ''two'':22 ''unless'':29 ''within'':6,13,55 ''wood'':38,41'),
('8', '''1000'':62 ''4'':1 ''5'':43 ''base'':63 ''comput'':50 ''construct'':65 ''count'':30 ''credit'':68 ''deduct'':67 ''dollar'':58 ''doubl'':31 ''expens'':70 ''fire'':18 ''five'':12 ''follow'':52 ''formula'':45 ''full'':57 ''galvan'':36 ''histori'':3 ''last'':11 ''limit'':61 ''load'':71 ''loss'':2,8,29 ''may'':24 ''minimum'':69 ''paid'':7 ''plumb'':34 ''premium'':48,60 ''protect'':66 ''rate'':44,64 ''referr'':21 ''replac'':42 ''round'':54 ''rule'':27 ''singl'':16 ''steel'':37 ''technic'':47 ''text'':59 ''two'':6 ''underwrit'':23 ''unexplain'':17 ''waiv'':25 ''water'':28 ''year'':13'),
('9', '''10'':11 ''120'':6 ''consent'':19 ''expens'':3 ''head'':22 ''load'':4 ''minimum'':2 ''need'':17 ''percent'':12 ''premium'':8,16 ''properti'':24 ''technic'':15'),
('10', '''+0000'':30 ''-00871'':14,51 ''-26'':13,50 ''00'':29 ''09'':27 ''10'':24 ''2026'':26 ''204417'':59 ''42'':28 ''claim'':4,11,21,48 ''claims@example.com'':6 ''damag'':20,41 ''date'':22 ''dear'':31 ''desk'':5 ''ho'':58 ''homeown'':54 ''kitchen'':44 ''mar'':25 ''mutual'':3 ''nm'':12,49,57 ''nm-ho'':56 ''northlight'':2 ''open'':47 ''polici'':55 ''policyhold'':8,32 ''policyholder@example.org'':9 ''receiv'':17 ''subject'':10 ''tell'':36 ''thank'':33 ''tue'':23 ''us'':37 ''water'':19,40'),
('11', '''11'':44 ''13'':39 ''2026'':8 ''8'':6 ''9'':42 ''adjust'':32,74 ''away'':69 ''broken'':60 ''burst'':15 ''damag'':70 ''dishwash'':14 ''dri'':47 ''field'':31 ''floor'':22,49,71 ''friday'':38 ''hall'':26 ''happen'':28 ''hose'':11,53,61 ''hous'':36 ''keep'':58 ''kitchen'':21 ''march'':7,40 ''may'':46 ''next'':29 ''pleas'':57,65 ''ran'':18 ''receipt'':64 ''replac'':54 ''seen'':76 ''suppli'':10 ''throw'':68 ''told'':3 ''us'':4 ''visit'':34 ''water'':17'),
('12', '''1'':4 ''500'':5,11 ''appli'':6 ''applianc'':14 ''attach'':16 ''build'':9 ''claim'':28 ''claims@example.com'':33 ''deduct'':2 ''desk'':29 ''document'':20 ''fiction'':32 ''kind'':26 ''list'':17 ''mutual'':31 ''need'':23 ''northlight'':30 ''regard'':27 ''show'':18'),
('13', '''000'':22,38 ''15'':53 ''2026'':7 ''310'':59 ''640'':65 ''790'':68 ''add'':15 ''ask'':29,45 ''bakeri'':10 ''branch'':12 ''broker'':1 ''café'':8 ''desk'':48 ''espresso'':23 ''fit'':34 ''fit-out'':33 ''indic'':60 ''last'':56 ''line'':26 ''may'':54 ''new'':17 ''note'':2 ''owner’'':28 ''premium'':55 ''price'':30 ''properti'':47 ''pâtisseri'':25 ''renew'':4 ''round'':5 ''spring'':6 ''survey'':51 ''terrac'':18 ''third'':44 ''two'':11 ''underinsur'':40 ''want'':13 ''year'':57,63 ''–'':3,39 ''€180'':37 ''€2'':58,64,67 ''€45'':21'),
('14', '''7.5'':18 ''assumpt'':39 ''certif'':11 ''client'':31 ''constant'':47 ''doubl'':49 ''extract'':6 ''façad'':3 ''file'':14 ''fit'':23 ''four'':28 ''furnitur'':1 ''insur'':16 ''maker'':2 ''naïv'':38 ''note'':36 ''novemb'':51 ''offer'':17 ''old'':42 ''payback'':25 ''propos'':43 ''renew'':9 ''rough'':27 ''sawdust'':5 ''say'':32 ''sprinkler'':21 ''stock'':45 ''workshop'':4 ''year'':29 ''year”'':35 ''–'':24 ''“not'':33'),
('15', '''000'':9 ''15'':56 ''2024'':13 ''21'':39 ''400'':25 ''500'':35 ''ask'':47 ''averag'':53 ''bring'':40 ''bureau'':2 ''call'':37 ''comma'':16 ''comparison'':42 ''decim'':15 ''employe'':4 ''excess'':31 ''fire'':44 ''incid'':11 ''indemn'':6 ''limit'':7 ''market'':49 ''need'':30 ''new'':28 ''next'':36 ''one'':10 ''profession'':5 ''rate'':45 ''read'':17 ''résumé'':26 ''separ'':21 ''settl'':22 ''six'':3 ''staff'':29 ''stay'':32 ''thousand'':20 ''translat'':1 ''waiv'':52 ''week'':38 ''whether'':50 ''€12'':24 ''€2'':34 ''€500'':8'),
('16', '''-1180'':16 ''-26'':15 ''1'':20,24,27 ''2026'':22 ''2027'':26 ''72'':63 ''advis'':59 ''appli'':68 ''appoint'':48 ''attack'':40 ''busi'':5 ''call'':30 ''compani'':11 ''cyber'':1,7 ''day'':44 ''fee'':71 ''fiction'':10 ''first'':62 ''forens'':51 ''hour'':64 ''incid'':28,32 ''investig'':52 ''lawyer'':54 ''line'':33 ''may'':21,25 ''night'':46 ''number'':13 ''pay'':50 ''period'':19 ''polici'':2,12,18 ''privaci'':53 ''public'':57 ''qcu'':14 ''quillston'':6 ''relat'':58 ''respons'':29 ''retent'':67 ''small'':4 ''soon'':35 ''specimen'':17 ''staf'':43 ''suspect'':38 ''underwrit'':8'),
('17', '''000'':34 ''10'':72 ''120'':83 ''2'':1 ''20'':36 ''250'':33 ''3'':44 ''agre'':12 ''backup'':26 ''beforehand'':17 ''busi'':45 ''continu'':53 ''day'':84 ''end'':75 ''everi'':39 ''exist'':27 ''expens'':54 ''extort'':4 ''failur'':64 ''hour'':73 ''interrupt'':46 ''law'':21 ''limit'':29 ''lost'':49 ''net'':50 ''pay'':48 ''payment'':19,65 ''percent'':37 ''period'':70 ''profit'':51 ''ransom'':8,40 ''ransomwar'':2,31 ''reimburs'':6 ''restor'':80 ''secur'':63 ''start'':66 ''stay'':41 ''system'':57,78 ''usabl'':25 ''wait'':69 ''write'':16'),
('18', '''000'':7,12,14,19,21,25,31,32,34,43,45 ''1'':30 ''10'':20,26,33 ''100'':42 ''15'':44 ''250'':18 ''300'':11 ''400'':24 ''5'':13 ''500'':6 ''busi'':22 ''cover'':1 ''data'':9 ''decept'':38 ''e'':40 ''e-mail'':39 ''extort'':17 ''fraud'':36 ''hour'':27 ''incid'':4 ''interrupt'':23 ''liabil'':29 ''limit'':2 ''mail'':41 ''none'':8 ''payment'':35 ''privaci'':28 ''ransomwar'':15 ''respons'':5 ''restor'':10 ''retent'':3'),
('19', '''30'':46 ''4'':1 ''5'':50 ''access'':22 ''act'':72 ''administr'':26 ''attack'':91 ''authent'':19 ''backup'':28 ''better'':85 ''cannot'':36 ''copi'':33 ''cost'':80 ''cover'':4 ''day'':47 ''depend'':5 ''everi'':25 ''exclus'':51 ''factor'':18 ''failur'':57 ''follow'':8 ''grid'':62 ''hardwar'':70 ''instal'':44 ''internet'':66 ''least'':30 ''make'':82 ''multi'':17 ''multi-factor'':16 ''network'':41 ''one'':32 ''pay'':55 ''period'':15 ''place'':11 ''polici'':14 ''power'':61 ''public'':60 ''reach'':38 ''releas'':49 ''remot'':21 ''requir'':3 ''secur'':2,42 ''state'':76 ''system'':84 ''throughout'':12 ''updat'':43 ''war'':74 ''wear'':68 ''week'':31 ''within'':45'),
('20', '''0'':5,11 ''1'':22 ''100'':28 ''2'':39 ''200'':45 ''3'':56 ''300'':62 ''4'':73 ''400'':79 ''build'':2 ''euro'':12,29,46,63,80 ''first'':18,35,52,69,86 ''hous'':4,10,21,27,38,44,55,61,72,78 ''march'':20,37,54,71,88 ''paid'':15,32,49,66,83 ''premium'':3 ''row'':8,25,42,59,76 ''tabl'':1 ''year'':14,31,48,65,82'),
('21', '''5'':4 ''500'':10 ''6'':21 ''600'':27 ''7'':38 ''700'':44 ''8'':55 ''800'':61 ''9'':72 ''900'':78 ''build'':1 ''euro'':11,28,45,62,79 ''first'':17,34,51,68,85 ''hous'':3,9,20,26,37,43,54,60,71,77 ''march'':19,36,53,70,87 ''paid'':14,31,48,65,82 ''premium'':2 ''row'':7,24,41,58,75 ''year'':13,30,47,64,81'),
('22', '''10'':4 ''1000'':10 ''11'':21 ''1100'':27 ''12'':38 ''1200'':44 ''13'':55 ''1300'':61 ''14'':72 ''1400'':78 ''build'':1 ''euro'':11,28,45,62,79 ''first'':17,34,51,68,85 ''hous'':3,9,20,26,37,43,54,60,71,77 ''march'':19,36,53,70,87 ''paid'':14,31,48,65,82 ''premium'':2 ''row'':7,24,41,58,75 ''year'':13,30,47,64,81'),
('23', '''15'':4 ''1500'':10 ''16'':21 ''1600'':27 ''17'':38 ''1700'':44 ''18'':55 ''1800'':61 ''19'':72 ''1900'':78 ''build'':1 ''euro'':11,28,45,62,79 ''first'':17,34,51,68,85 ''hous'':3,9,20,26,37,43,54,60,71,77 ''march'':19,36,53,70,87 ''paid'':14,31,48,65,82 ''premium'':2 ''row'':7,24,41,58,75 ''year'':13,30,47,64,81'),
('24', '''-1.4'':2 ''/basefont'':28,42 ''/encoding'':30,44 ''/f1'':12,33 ''/f2'':16,47 ''/f3'':20 ''/font'':37,51 ''/helvetica'':29 ''/helvetica-bold'':43 ''/name'':32,46 ''/subtype'':34,48 ''/type'':36,50 ''/type1'':35,49 ''/winansiencoding'':31,45 ''0'':10,14,18,22,26,40 ''1'':9 ''2'':13,25 ''3'':17,39 ''4'':21 ''document'':7 ''endobj'':24,38 ''generat'':5 ''obj'':11,27,41 ''opensourc'':8 ''pdf'':1,6 ''r'':15,19,23 ''reportlab'':4 ''����'':3'),
('25', '''/basefont'':5 ''/contents'':19 ''/encoding'':7 ''/f3'':10 ''/font'':14,33 ''/imageb'':40 ''/imagec'':41 ''/imagei'':42 ''/mediabox'':23 ''/name'':9 ''/parent'':28 ''/pdf'':38 ''/procset'':37 ''/resources'':32 ''/rotate'':43 ''/subtype'':11 ''/text'':39 ''/times-roman'':6 ''/trans'':45 ''/type'':13 ''/type1'':12 ''/winansiencoding'':8 ''0'':3,17,21,24,25,30,35,44 ''1'':34 ''18'':29 ''19'':20 ''4'':2 ''5'':16 ''595.2756'':26 ''841.8898'':27 ''endobj'':1,15 ''obj'':4,18 ''r'':22,31,36'),
('26', '''/contents'':7 ''/font'':21 ''/imageb'':28 ''/imagec'':29 ''/imagei'':30 ''/mediabox'':11 ''/page'':2,35 ''/parent'':16 ''/pdf'':26 ''/procset'':25 ''/resources'':20 ''/rotate'':31 ''/text'':27 ''/trans'':33 ''/type'':1,34 ''0'':5,9,12,13,18,23,32,38 ''1'':22 ''18'':17 ''20'':8 ''595.2756'':14 ''6'':4 ''7'':37 ''841.8898'':15 ''endobj'':3,36 ''obj'':6,39 ''r'':10,19,24'),
('27', '''+00'':22,30 ''/author'':17 ''/catalog'':12 ''/creationdate'':19 ''/creator'':24 ''/false'':43 ''/keywords'':26 ''/moddate'':27 ''/outlines'':1 ''/pagemode'':5 ''/pages'':7 ''/producer'':32 ''/subject'':37 ''/title'':39 ''/trapped'':42 ''/type'':11 ''/usenone'':6 ''0'':3,9,15,46 ''00'':23,31 ''18'':8 ''20000101000000'':21,29 ''8'':14 ''9'':2,45 ''d'':20,28 ''demo'':18 ''endobj'':13,44 ''librari'':35 ''obj'':16,47 ''opensourc'':36 ''pdf'':34 ''pet'':40 ''polici'':41 ''r'':4,10 ''reportlab'':33 ''unspecifi'':25,38'),
('28', '''/count'':1,17 ''/dest'':19,43 ''/first'':3,24 ''/fit'':23,47 ''/last'':7,28 ''/next'':48 ''/outlines'':12 ''/parent'':32,52 ''/title'':36,56 ''/type'':11 ''0'':5,9,15,21,26,30,34,41,45,50,54 ''1'':57 ''10'':4,8,14,53 ''11'':25,40 ''12'':49 ''17'':29 ''5'':20,44 ''7'':18 ''9'':2,33 ''endobj'':13,39,61 ''obj'':16,42 ''pay'':60 ''pet'':37 ''polici'':38 ''r'':6,10,22,27,31,35,46,51,55'),
('29', '''/dest'':4,29 ''/fit'':8,33 ''/next'':9,34 ''/parent'':13,38 ''/prev'':17,42 ''/title'':21,46 ''0'':2,6,11,15,19,27,31,36,40,44,55 ''10'':14,39 ''11'':18 ''12'':1,43 ''13'':10,26 ''14'':35,54 ''2'':22 ''3'':47 ''5'':5 ''6'':30 ''endobj'':25,53 ''obj'':3,28,56 ''pay'':52 ''period'':24 ''r'':7,12,16,20,32,37,41,45 ''wait'':23'),
('30', '''/dest'':1,25 ''/fit'':5,29 ''/next'':6,30 ''/parent'':10,34 ''/prev'':14,38 ''/title'':18,42 ''0'':3,8,12,16,23,27,32,36,40,49 ''10'':11,35 ''13'':15 ''14'':39 ''15'':7,22 ''16'':31,48 ''4'':19 ''5'':43 ''6'':2,26 ''claim'':46 ''condit'':20 ''endobj'':21,47 ''make'':44 ''obj'':24,50 ''r'':4,9,13,17,28,33,37,41'),
('31', '''/count'':48 ''/dest'':1,28 ''/fit'':5,32 ''/kids'':50 ''/next'':6 ''/pages'':58 ''/parent'':10,33 ''/prev'':14,37 ''/title'':18,41 ''/type'':57 ''0'':3,8,12,16,26,30,35,39,46,52,55 ''10'':11,34 ''15'':15 ''16'':38 ''17'':7,25 ''18'':45 ''2'':49 ''5'':51 ''6'':2,19,29,54 ''7'':42 ''endobj'':24,44,59 ''liabil'':23 ''obj'':27,47 ''parti'':22 ''r'':4,9,13,17,31,36,40,53,56 ''renew'':43 ''third'':21 ''third-parti'':20'),
('32', '''/ascii85decode'':5 ''/filter'':4 ''/flatedecode'':6 ''/length'':7 ''0'':2 ''1844'':8 ''19'':1 ''obj'':3 ''stream'':9'),
('33', '''6od/1'':17 ''75'':3 ''7gog'':21 ''7n.4g'':32 ''9d'':12 ''bf2zec8u'':15 ''ch'':8 ''ciks5'':24 ''d'':34 ''drc'':22 ''e'':2 ''ez5qpj'':33 ''gauhm'':1 ''hn'':13 ''i/et3'':31 ''j'':11 ''k'':5,6 ''l4g7'':18 ''lw'':26 ''n.vmiwn'':10 ''neb'':28 ''q4'':23 ''qb'':7 ''rj2'':20 ''rnb33'':4 ''ry3'':14 ''tpc'':30 ''u7k4n'':25 ''vwct1s'':9 ''xi'':16 ''y'':29 ''zd'':19'),
('34', '''0'':8 ''03'':17 ''07ay4b'':3 ''1ek0'':13 ''2ks'':34 ''3'':4 ''3bunjnt'':36 ''3nf'':21 ''4dx8'':18 ''6sz10g'':7 ''b'':9 ''bjtng'':19 ''boi1'':6 ''bx'':30 ''c'':29,38 ''cjj5h'':25 ''cjj5h-sma'':24 ''d'':23 ''f4u'':10 ''f9'':20 ''fj9'':15 ''g0j'':12 ''gq'':22 ''gs'':33 ''he5tfbwf'':37 ''ir4o'':14 ''lid9fb'':5 ''n'':31 ''n.w'':32 ''psbo8a/gkz'':35 ''q'':2 ''sma'':26 ''td'':11 ''u'':28 ''veo'':1 ''x'':16 ''y'':27'),
('35', '''1'':10 ''1g18ofb'':4 ''278d'':24 ''3l'':37 ''8s.5'':33 ''8sc'':14 ''990bf'':21 ''9ab'':18 ''c'':32 ''ctr'':34 ''d'':3 ''d0'':9 ''dkpkrh'':31 ''dvm1y'':1 ''egc'':28 ''fl'':19 ''g'':7,17 ''glk'':5 ''j'':30 ''kn'':16 ''kvloe'':26 ''lu'':29 ''mjmle'':23 ''n'':25 ''o0'':20 ''oktsi'':13 ''oktsi-8sc'':12 ''q5'':27 ''q6l3'':15 ''r'':2 ''tf7'':38 ''tjoprb'':8 ''vbaepb'':35 ''y9'':6 ''z'':22,36 ''zq1y'':11'),
('36', '''+7'':5 ''/c'':23 ''0'':27 ''1vr'':19 ''3'':36 ''3p'':14 ''5'':26,35 ''6'':7 ''8tl1c'':9 ''9'':28 ''a1jiufd1g3'':24 ''a9.kv'':16 ''ap'':32 ''btw'':12 ''e'':40 ''e2d'':3 ''elc'':6 ''fjag8srr'':10 ''g0l'':38 ''io'':21 ''ius'':8 ''k'':17 ''lrvjtag'':41 ''ni'':31 ''np'':22 ''oru'':34 ''p'':25,29 ''pa'':20 ''pc3'':2 ''pch84u'':1 ''qh4cq'':33 ''u'':18 ''wlnm'':37 ''x'':13 ''x4p9'':4 ''z'':15 ''zey'':30'),
('37', '''+3'':1 ''/o'':30 ''0cdvmipcq4'':16 ''6'':9 ''8cdkmitrb3q.t'':8 ''9ivp8zcf2'':18 ''bsi'':27 ''d'':4 ''f'':26 ''frfhng8bq'':22 ''fx'':32 ''g'':14 ''gi2at'':3 ''hhkpjthfolupenxq6fk1dnns'':19 ''hpk'':21 ''iuebxfuw'':28 ''j'':12 ''k'':13 ''l73z'':2 ''lgfm'':5 ''lms'':15 ''n'':10 ''p67h'':25 ''py'':29 ''qzx'':20 ''r'':31 ''s2h'':24 ''x'':23 ''xlu'':6 ''yhspteb'':7'),
('38', '''1vf'':18 ''2'':30 ''3f'':17 ''4'':12 ''5n4lbt'':10 ''6'':8,9 ''9l'':32 ''af'':15 ''auma6uuse'':3 ''bk'':13 ''ctqllgyr'':2 ''f'':19 ''g'':11 ''h'':28 ''m'':22 ''m6j8.jnp4'':1 ''nkm.eoinn'':16 ''p'':5 ''pnkp'':26 ''pwdc'':25 ''qfe4tsoitf'':29 ''rf15'':20 ''rlrlue2goq6ue'':6 ''rm0fz5'':14 ''t0e0'':31 ''ujm'':24 ''ujm-pwdc'':23 ''vc'':21 ''xi'':27 ''y'':4 ''ycpbin'':7'),
('39', '''-5'':29 ''/n3zg'':19 ''2qc'':3 ''3'':11 ''4j'':18 ''7q'':32 ''8dh'':9 ''9k8'':25 ''ap3oah'':8 ''b93'':22 ''c'':27 ''daw'':33 ''em'':6 ''f'':15,34 ''gcaobuou0'':7 ''gp'':4 ''iylc'':2 ''iylc-2qc'':1 ''jfugpq'':21 ''k1m'':23 ''k5'':14 ''kldcvdwe8f'':10 ''m'':5,16 ''q0kb'':31 ''qbc'':26 ''r'':30 ''ta'':17 ''tnminq95mnfi6q'':20 ''up5fbofv'':28 ''y'':24 ''z'':13'),
('40', '''/g'':28 ''/ud'':21 ''1x6dkxpl4'':15 ''2'':42 ''3oi'':27 ''460'':10 ''4m'':17 ''5b'':43 ''7h'':3 ''8'':8 ''8sbnsmee'':23 ''9'':2 ''9e'':40 ''9e-ef4'':39 ''ah'':12 ''ak'':30 ''cb'':31 ''e9'':9 ''ef4'':41 ''et.rw'':33 ''ff'':4 ''g'':35 ''icj'':24 ''iqab'':22 ''jnh'':7 ''jorif'':11 ''l'':26 ''lc'':44 ''m'':37 ''m-rnd'':36 ''mlofq'':29 ''ne'':32 ''o'':18 ''opk'':6 ''qsk'':5 ''rnd'':38 ''st'':16 ''uq3'':19 ''x'':25 ''x4'':34 ''y'':1 ''z'':14,20'),
('41', '''2d526j'':7 ''3'':13 ''3i'':24 ''4'':21 ''7'':4 ''7r'':27 ''8'':1 ''aeqxfz'':17 ''cpi5hfcc'':5 ''e'':28 ''gn'':38 ''irhi'':16 ''j'':2 ''k'':32,34 ''ksid'':33 ''kx'':11 ''lg'':39 ''ne'':31 ''ob'':36 ''p'':37 ''psalcc'':23 ''q'':29,30 ''r'':6 ''rj'':3 ''sc'':35 ''tjaghj'':40 ''tlg89'':9 ''tmuir'':25 ''tnak'':19 ''u30j'':20 ''ubb'':12 ''uif991l._c'':10 ''x'':26 ''xee'':22 ''xvbyk'':8 ''z'':14,18'),
('42', '''/udy2l'':19 ''29'':30 ''8nntrte'':17 ''9'':10 ''au'':23 ''b'':31 ''d80'':26 ''dgzfhl'':27 ''du'':29 ''e'':24 ''fpos'':25 ''hrrt'':5 ''j.m-'':3 ''kwntb'':28 ''lkcrlahecyv'':12 ''lt'':2 ''m.cw'':9 ''mkrif'':13 ''o'':4 ''op6g'':32 ''p'':11 ''pr'':16 ''qv'':20 ''r'':18 ''rc'':1 ''sdnbkto4aq'':22 ''sfq'':8 ''ssg6zzei6ibkl8qsq'':6 ''wanr'':7 ''xizn1'':21'),
('43', '''0'':43 ''1g0'':10 ''20'':42 ''4h'':32 ''5'':20 ''6b'':25 ''a.x'':31 ''auu'':18 ''b'':23 ''beidequ'':14 ''d'':28 ''d-znceod'':27 ''ef'':2 ''endobj'':41 ''endstream'':40 ''frq9ed'':22 ''fyo8'':3 ''g'':26 ''go0fc'':30 ''jcko5'':7 ''jp'':5 ''l3h'':13 ''m/u'':19 ''n'':4,24 ''o9'':6 ''obj'':44 ''p'':12 ''p-l3h'':11 ''piu3srkr'':16 ''pxe'':9 ''qq2adq'':34 ''r'':33 ''rv1'':17 ''sm6aho'':38 ''t5ja'':37 ''u'':15 ''w5u'':1 ''y'':21 ''z'':39 ''znceod'':29'),
('44', '''/ascii85decode'':2 ''/filter'':1 ''/flatedecode'':3 ''/length'':4 ''1591'':5 ''stream'':6'),
('45', '''+9'':29 ''0'':10 ''2n'':37 ''2n-rzjj'':36 ''3fcbtl'':17 ''4pcm'':16 ''6h7ro'':28 ''b2'':23 ''eb6ldb0h8'':30 ''f'':40 ''fz'':5 ''g9ddb12'':8 ''gau0c9lo'':1 ''h'':9,18 ''ic7'':34 ''ii77'':33 ''ij'':39 ''jbc'':12 ''jbc-mbu'':11 ''jkuh'':26 ''l'':19 ''m'':25 ''mbu'':13 ''mhti/5p'':15 ''mxr'':20 ''n'':27 ''o'':31 ''q0'':21 ''rzjj'':38 ''sbm'':4 ''soslgdauj'':22 ''tg'':24 ''tj'':6 ''u'':14 ''u86bl'':32 ''y'':7 ''z'':35'),
('46', '''/ar'':22 ''0q'':25 ''47mqi'':16 ''6pqf'':37 ''7'':20,30,33 ''71'':31 ''9bik'':23 ''asfdmro'':34 ''b'':14 ''d'':24 ''edikhkdlgnpirw'':21 ''fqec'':38 ''gecf8h'':35 ''hir'':3 ''ksws1'':9 ''l'':27 ''lo'':13 ''lyi'':28 ''m'':1 ''mon'':18 ''ms'':29 ''n'':39 ''nm9k'':11 ''nz'':8 ''obcrf9'':36 ''q'':19 ''r'':5 ''sqtkhl8'':6 ''ta5e2t'':26 ''umf'':2 ''w'':15 ''z'':10 ''zmf3'':17'),
('47', '''+1'':13 ''4'':31 ''5'':27 ''7h'':3 ''7o5b'':26 ''7w0'':34 ''a6j'':24 ''bn'':7 ''c31r'':20 ''d'':4,14 ''dtmskm1'':19 ''enz'':15 ''fonlad.vy'':23 ''g'':32,33 ''gvmwbg8b'':28 ''jcu'':6 ''kpdg'':30 ''lz'':1 ''m'':8 ''mjptgaj'':12 ''npxr'':18 ''ocdrlf44i2'':16 ''pvtokc'':11 ''sl'':29 ''tt1i'':9 ''u'':22 ''ugnpa'':25 ''v'':17,21 ''y'':2 ''y/2klc_'':5 ''zqkc'':10'),
('48', '''+0'':15 ''+7'':32 ''/q'':12 ''14'':30 ''3'':35 ''32'':20 ''aft'':9 ''ajg/wj'':23 ''ak'':14 ''atc'':29 ''db2ttq'':19 ''eje'':7 ''eo'':13 ''fuhhpo2mdk'':25 ''gn'':8 ''h'':26 ''i7rd3'':24 ''ip'':34 ''isg/u'':17 ''izjo'':2 ''k'':3 ''l'':18 ''l8'':6 ''nus'':21 ''o'':10 ''oj'':4 ''p'':31 ''shjgma3w5q'':38 ''t5aqny'':36 ''u'':39 ''ve'':16 ''wls'':5 ''wt'':11 ''wv4norjbzp'':28 ''x'':1 ''xg'':22 ''xn'':27 ''yo1l'':33'),
('49', '''/wgs'':20 ''1a'':36 ''2'':4 ''3zab'':27 ''5q'':12 ''9'':29 ''bt3ix8'':25 ''c1d3e'':21 ''cc'':15 ''eyp'':1 ''g'':2,5,7,31 ''g2'':24 ''h'':32,37 ''h0i'':22 ''hf'':28 ''j8f'':10 ''jbm9t'':34 ''jmh'':13 ''k'':3 ''ki'':8 ''lr'':11 ''m'':6 ''n'':26 ''o'':33 ''o9/vec0zulrcv'':16 ''pagqt'':14 ''tj'':9 ''u2b6h'':30 ''uj'':35 ''vfk'':23 ''w'':17 ''zk'':18'),
('50', '''+7'':31 ''0'':3 ''2g'':18 ''3'':29 ''56n'':17 ''5e'':33 ''621'':39 ''8pctl.xvwg'':37 ''d'':1,35 ''e'':13 ''fctss'':21 ''fd6'':15 ''fjhp'':34 ''fl'':38 ''grfir'':32 ''hih1'':30 ''i2go'':25 ''idr'':24 ''jeyf'':5 ''k'':4,28 ''ke'':6 ''la'':14 ''lawthl'':11 ''lfid'':27 ''llnn'':2 ''m'':23 ''o8'':36 ''on3'':10 ''pn'':26 ''qt/6'':9 ''vbwn'':20 ''wrtcc00mh'':7 ''x'':19 ''y'':16 ''yfyi'':12 ''zk'':22'),
('51', '''/xz9os'':1 ''0'':2 ''1'':18 ''1nii1'':24 ''2j'':6 ''4'':10 ''6njr2'':31 ''b0zes5'':9 ''bt'':34 ''c'':22 ''cqcu'':16 ''d8'':13 ''eh'':5 ''f7id'':21 ''fxnq'':27 ''gniy'':29 ''k'':11,33 ''k-bt'':32 ''kyo7u9'':12 ''l'':15,20 ''lkn'':19 ''mdzeyyr4'':30 ''mf1'':4 ''mqi2qfdie0g'':23 ''pi'':14 ''qrikg'':3 ''r'':26 ''u68'':17 ''ubvs2'':28 ''vxb3'':8 ''x'':7,25 ''ztoma/ej'':35'),
('52', '''2l/zluy2j'':34 ''4dyoed'':20 ''6'':10 ''63o'':23 ''7'':26 ''7m'':30 ''ay5'':6 ''bctlrh5s'':7 ''cg'':18 ''dn4rxuep1p'':12 ''e'':9 ''ee'':21 ''em'':22 ''f/bgttbmb'':2 ''f6'':17 ''g'':16,24 ''h.fdl'':28 ''ha1'':5 ''iqqrw0k'':31 ''j'':15 ''jmfql832/ml'':13 ''m'':25,27 ''n'':19 ''p'':4,11 ''r'':29 ''r/q3zbskb'':8 ''ss8fih'':3 ''xo'':32 ''za'':1'),
('53', '''02uu4c6f6'':27 ''04d'':13 ''0sbmbn'':15 ''5bj'':10 ''9b'':16 ''a7n'':21 ''d'':3 ''g'':36 ''gndf'':23 ''go/rf'':30 ''i88'':1 ''ibga'':6 ''jbv7etn/ulx'':33 ''jgo'':4 ''kr'':26 ''kr/gb3bfx'':5 ''l'':17 ''n9'':11 ''ng75h'':12 ''nhx'':22 ''pw.5m'':20 ''q'':25 ''s3to5m1t'':2 ''td'':28 ''uc'':31 ''usq'':24 ''x'':35 ''x-g'':34 ''y'':9 ''yge'':19 ''z'':29'),
('54', '''+8'':18 ''0'':22 ''00000'':28,31,34,37,40 ''0000000000'':24 ''0000000061'':27 ''0000000112'':30 ''0000000219'':33 ''0000000331'':36 ''0000000440'':39 ''0ur'':2 ''0zq6r'':5 ''21'':23 ''65535'':25 ''6lj'':15 ''9'':17 ''93'':14 ''cme'':12 ''endobj'':20 ''endstream'':19 ''f'':3,26 ''gpy9dfnq'':16 ''h'':11 ''kh'':6 ''lj'':10 ''lmkjk'':13 ''n'':9,29,32,35,38,41 ''r'':1,7 ''rg'':4 ''tjm'':8 ''xref'':21'),
('55', '''00000'':2,5,8,11,14,17,20,23,26,29,32,35,38,41 ''0000000645'':1 ''0000000850'':4 ''0000000935'':7 ''0000001203'':10 ''0000001276'':13 ''0000001389'':16 ''0000001484'':19 ''0000001596'':22 ''0000001711'':25 ''0000001818'':28 ''0000001929'':31 ''0000002047'':34 ''0000002138'':37 ''0000002204'':40 ''n'':3,6,9,12,15,18,21,24,27,30,33,36,39,42'),
('56', '''/id'':5 ''/info'':16 ''/root'':20 ''/size'':24 ''0'':18,22 ''00000'':2 ''0000004140'':1 ''21'':25 ''57e89'':6,8 ''5823'':27 ''7'':21 ''8'':17 ''b478cd74e35dabbeb25eb4bccc1'':7,9 ''digest'':14 ''document'':13 ''eof'':28 ''generat'':11 ''n'':3 ''opensourc'':15 ''pdf'':12 ''r'':19,23 ''reportlab'':10 ''startxref'':26 ''trailer'':4'),
('57', '''cover'':5 ''damag'':3 ''flood'':2 ''one'':1'),
('58', '''cover'':5 ''fire'':2 ''two'':1'),
('59', '''-00871'':4 ''-26'':3 ''1'':8 ''2'':20 ''3'':31 ''4'':40 ''burst'':38 ''claim'':1 ''corner'':19 ''dishwash'':25 ''document'':5 ''dri'':44 ''estim'':42 ''floor'':49 ''hall'':15 ''hose'':39 ''invoic'':22 ''kitchen'':12 ''model'':28 ''need'':7 ''new'':48 ''nm'':2 ''one'':16 ''photograph'':9 ''plumber'':33 ''report'':35 ''year'':30');
INSERT INTO tvdb.embeddings (space_id, text_sha256, embedding, token_count, service, mode, model, version, is_degraded, run_id, created_at) OVERRIDING SYSTEM VALUE VALUES
('1', E'\\x01d5b714f8c4c27bce2ad5d98adc60d9cdd9ee22873b284c71a28e7da19a30ba', '[-0.45554948,0.05649457,-0.10682421,-0.1762727,0.24026923,0.4515393,-0.1775097,0.071184285,0.2223269,-0.17326458,-0.3863487,0.17422716,0.06964441,0.03260325,0.08420706,0.42015615]', '51', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x03ab75bac918923c93b138fc4bcc215cb006ef7aebef06cad2e68205b955a929', '[-0.16166478,-0.45579946,-0.08112003,0.24690118,-0.0689424,-0.041450586,0.37241083,-0.13638286,0.032679632,-0.28659144,0.17146331,0.41678068,0.2911673,-0.26563504,0.20681572,-0.22447237]', '65', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.165587+00'),
('1', E'\\x03ddcc554214e19816043f6a9bb8a9df3867995acd0c3713d147473f1931366c', '[0.07283788,0.4492418,0.1263138,-0.010914599,0.045647047,-0.24760321,-0.24409461,-0.42666307,-0.0025828076,0.16079055,0.21245949,0.017095936,0.33849314,-0.18937968,0.28952536,0.4077117]', '53', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x075dc77796d2eb93bade11755af708a3fa7322b7adbe1808db043e4e00a2aa9b', '[-0.17723797,0.55693823,-0.12308489,-0.10453382,-0.10993636,0.077448964,0.2773502,0.115249224,0.31139293,0.19833484,-0.061449356,0.03481696,-0.22348225,-0.5398016,0.18688333,0.08058193]', '59', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x0e45a8d530dec6d969f53eca734cd9ea6860834f9d48603daa26321e8eaa56ba', '[0.090618506,0.3645261,0.34679267,-0.13294822,-0.2380192,0.10666581,0.083178304,0.03243075,-0.13015458,0.15143152,-0.038194284,0.28981078,-0.21347825,-0.22209436,0.59299207,-0.27038532]', '10', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-2', '2026-11-27 15:57:02.50661+00'),
('1', E'\\x0f6a7e8cfe8a6bc62a0b637efdd2bab18aadb8bb3615799a0fe22340213933e7', '[-0.19808154,0.32851514,-0.16945268,-0.0127447145,-0.113752484,0.061794955,0.040479504,0.013261753,-0.38062084,-0.06695149,0.6362617,0.33858907,-0.17013171,0.15267466,-0.2747888,0.09382253]', '53', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x13eee14c7bb4746c0faa2fadb89c25d70b60233d06a7f16e94b6447673b7a800', '[-0.27976727,0.31880742,0.2108187,0.036771372,0.14716628,-0.44494426,0.06726274,-0.31435728,0.07807082,0.24981807,-0.044707723,-0.19697092,-0.09575152,-0.22929117,0.39613608,-0.35121262]', '120', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x1df7a0add92170ea8aaaa27b51becaddc3e1bfd7dae26003418386267f95eab6', '[0.2341267,-0.011198989,-0.38755327,0.26989013,0.05788339,-0.2645785,-0.34120715,0.28157827,-0.252339,-0.188831,-0.19602531,-0.20049237,-0.19198903,0.46045715,0.15698706,-0.038463026]', '51', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x269b04a6243dbaf6d69ad1a507437b7a4bf4859a2515acbca8c087ed052f25ee', '[0.105560146,-0.14502631,-0.25050253,-0.36615223,-0.32292488,0.30069393,-0.07489611,0.10266541,0.076146565,-0.17839654,-0.010725769,-0.1992619,0.21038412,-0.13289845,-0.61929935,-0.193027]', '126', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x277b830d8b68786112472fc2edd87265760b78e6f17c8f49919160f5b876a140', '[-0.10516968,0.25564244,0.36396497,-0.062332924,0.0034724588,0.011140723,-0.03411973,-0.10254161,0.2086681,0.58900523,0.21991923,0.19978985,-0.019006476,0.54000074,0.021728275,-0.06504739]', '64', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x28a59c31ed9af0f2443a8f323b474d9f2bb933a89a218ab6bbe1ecb3ee6e8383', '[-0.3859613,0.1276435,-0.20950219,-0.24846458,0.047011197,-0.068930656,-0.2606489,-0.42200893,0.09231537,-0.31495035,0.1422073,-0.36939436,-0.17994857,-0.38936564,0.16344048,-0.032147996]', '112', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x28c18dd37495ca49f0942c306fc28c415376d1a83ac7dfb7e6d12de1e2d98786', '[0.028986488,0.4208451,0.016352596,-0.3466401,0.014722929,0.4339968,-0.07678707,0.011311646,-0.17223597,-0.022166682,-0.43742302,-0.19347481,-0.13635689,-0.18227157,0.41133818,0.16457525]', '107', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x2bdba88c9b10dfe7c943c397f5251855612515772729e726170515cbced11568', '[-0.23685803,-0.24726073,-0.36943325,0.07653551,0.15021372,0.064124614,0.0725209,-0.27680004,0.20851688,-0.05163961,-0.13611309,0.612465,0.048689637,0.120786786,-0.23961492,0.3430839]', '127', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x30e7ae27268ac44f6df43b75af8167fd86b5b1301974d3ecd4b863fc248df3fb', '[-0.08900339,-0.3357667,-0.07666638,-0.0008245474,0.2183097,-0.19828193,-0.01775786,-0.35633776,0.2710372,-0.20718029,-0.24893071,0.17570315,-0.6542765,0.029316906,-0.114103705,-0.08952155]', '128', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x32d3984405ab023fadd331a6f48d03e3586a3c5d972260f4d00d13c4dffd7877', '[0.28152147,0.15146878,0.28683847,-0.37968138,-0.074988194,0.029107217,-0.14728396,-0.078550525,0.07553201,0.11997701,-0.3433056,0.00977869,0.50553674,0.3220132,-0.2518346,0.27622625]', '126', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x376cce23848454ad064ec276c3a70da416164b678b7e3fdb21a642d66bbbf5f5', '[0.27418748,0.39669365,-0.051435187,-0.10034375,0.019435411,-0.21890314,0.079901405,-0.2188173,0.034888398,0.2776934,-0.18656445,0.47760174,-0.21811734,0.44082794,-0.23677595,-0.11389265]', '126', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x3a47996711fa8e1349bbcb446c3ae5af567137bc94a2ea0f2e77996d652f1203', '[0.07932648,-0.38297093,0.028621921,0.115010455,0.13785514,0.25314516,0.3883654,-0.5041384,-0.09391517,0.274118,-0.049026646,-0.2303169,0.38337538,-0.094240114,0.16535816,-0.14937477]', '35', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x3f4c826eb653234b34d4a0e2cfa6890a771001d073fb6e512373aee2c084aa8c', '[-0.2409415,0.19036841,0.21388784,-0.21559854,-0.45053357,-0.11887696,0.0003713876,0.1297209,-0.123720005,-0.29190642,0.36246148,-0.008087515,0.15985791,0.01816988,0.56675637,0.021891812]', '127', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x417b33b7e3748ff7e0fce9932bf17b0a84c10d28caff7c789a7cb87b2b86bd9b', '[-0.04274614,-0.32625046,-0.26759073,-0.16698745,0.01180366,0.051642966,-0.14953345,0.12689729,-0.12643085,0.42536426,-0.018702816,0.23930904,0.40631002,-0.5707328,0.07435772,-0.009130332]', '99', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x45fe767b9847401fc7da78f41c1d77662a885ca9db28951eda4df5ab4a220c34', '[-0.389364,0.15542409,-0.03896936,0.15412927,0.22394948,-0.105391815,-0.34787303,-0.09887271,-0.15261357,0.22044966,-0.09967489,0.2617412,-0.19614795,-0.45038015,0.45871535,-0.06959729]', '128', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x491839a08aa502e576ddd65be57f5991744b4a4232c848720baed3325eee5f96', '[0.34513327,-0.30146444,0.05558794,0.15777959,-0.34726426,0.5644617,0.2275517,-0.003818545,-0.124076195,-0.089277185,-0.29223448,0.10104684,0.022418683,-0.20443487,0.0031281356,0.33125705]', '125', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x49d3ffde6ec661ec95d3f78a75ca9fd5124796067b5c0430aa56245c9d941164', '[0.18656951,0.47874448,-0.17396179,-0.16774762,-0.062024787,0.044362288,-0.33745077,-0.5217756,-0.07792004,0.12898633,-0.08494147,-0.23763072,0.23111936,0.0058185263,-0.3720659,0.08590817]', '51', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x4aac22fa7c7be2fad9699767226fe92c941c70d075e377cb56e57b0623aef57f', '[0.3520224,-0.020477219,-0.54795617,0.08060848,-0.07491861,0.02911329,0.20133744,0.15406294,-0.114583686,-0.0028530175,-0.20807482,-0.29370424,0.15855779,0.18795694,0.5176351,-0.1645153]', '104', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x4df956a211bbc6c0c6b0db8155ff0295d4554009b40e5893aaf27dc434212d0a', '[0.3688766,-0.028135996,0.21664731,0.039167095,-0.31206736,-0.06276143,-0.11865872,0.029300507,-0.26329017,-0.2132089,-0.124080695,-0.63783664,-0.11127384,-0.21217582,-0.30327272,0.10962972]', '127', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x4f4ba2fa87807df5a37a4a0bc8d0d049db7969a93233097c1472ebaa9292e194', '[-0.4541018,0.05631504,-0.10648474,-0.038548212,-0.06464025,-0.25313985,0.24298343,-0.14845565,0.061696775,-0.1678497,-0.24840054,-0.3226549,0.31281617,-0.057430327,-0.5611811,-0.12079546]', '20', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x5628e6a794596502c6ac238770094aefd63c5d9b2f9434d6492bfcc13eed6017', '[0.3996047,0.06584629,-0.29120427,0.25432864,-0.25721544,0.2985749,0.08418791,0.15315077,-0.016987622,-0.104344755,0.3378174,0.14292501,-0.27579635,-0.36327648,-0.24794132,-0.29225838]', '46', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x5a999513a1980deb1e93b6baede3e61a6ac25feea37c568ce943cbd0185e5919', '[-0.33818796,-0.2218801,-0.42245927,0.2858182,0.022233436,-0.28166482,0.1450156,-0.06706134,-0.057860352,0.23653354,0.3679838,0.287143,-0.10102941,0.13107572,-0.25861022,-0.31536004]', '53', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x5e1a86a391507347fa45924fea3d488081893113875a3bbbd423d8ce0fbaac79', '[-0.46778315,-0.07151353,-0.16342813,0.1983796,0.1685874,0.12288171,0.24747385,0.05260428,-0.20034334,-0.24137402,-0.2469002,0.053660728,0.29391965,-0.40919024,0.3225963,0.28694513]', '97', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x5ffe23f89636765ea4087729d385a222d7c052880575e7c9dd625acf24e45076', '[0.24711637,0.22238693,-0.07188591,0.24041125,0.25267622,0.08481608,-0.68999064,-0.0642929,0.082830675,-0.23148552,-0.33819705,0.1138051,0.15726346,-0.03307404,-0.22222634,0.11075716]', '55', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x61f15b400f5e56e3828cdce4d37445a084784f99ff27d22d97a1152209adcce7', '[0.53788847,-0.058815293,-0.20698239,0.09250032,-0.15664472,0.108869955,0.4560409,-0.44524392,-0.19713956,0.07438496,-0.09451887,-0.24860536,-0.091873825,0.050458472,-0.27567816,-0.10531953]', '125', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x61f95e9ed4caa1514f9ef01a9298eeee30e97f28fa574f22c9e0dc4261dba733', '[0.006112118,0.080606185,0.4040065,-0.043117937,-0.4288503,-0.30193773,-0.41238594,-0.15872069,0.20900767,0.33608353,-0.18183096,-0.042439207,0.012897479,0.11681912,-0.38234836,-0.08092101]', '75', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x6277482e9ccc12f700f79f9dc4242388ae2dc5eccf18af77761fa2c7f2e9b06d', '[-0.108476855,0.0011374303,-0.5148596,-0.0741603,-0.00022085983,0.36733863,0.19377126,0.3124389,0.26937556,-0.2642671,0.021218356,0.009205374,0.33408916,-0.3605272,-0.1963474,-0.15641367]', '12', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x63c82afc912d36f6856fe731b5cae06624da899caec8c2625bd61aebf882d83b', '[-0.2844801,0.27021974,-0.02046323,0.15480082,-0.02123341,0.3424407,0.5056937,-0.24689646,-0.10137303,0.05329978,0.05849233,0.076906465,-0.50087404,-0.07780394,-0.018012855,0.32796928]', '127', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x643ffd2db499c0c4c6d46ac954b329d77ab680bfaff23c3d479cb2d69a72fb75', '[-0.28857553,0.16243322,0.5202274,0.19018947,0.014100493,0.08096049,0.48031023,-0.32636845,-0.036083985,0.0266296,0.21869971,-0.18375187,0.21210675,0.21519807,0.1531146,0.20301306]', '101', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x644e8f5a28813ca9a1e33bd99b5a95191f6ae18bf56baa0688906a9e2097896c', '[-0.32224238,0.115990266,0.23918216,-0.109968856,-0.27315345,0.51136416,-0.19325477,-0.1441389,0.35045657,0.3321055,-0.2429813,0.08718556,-0.1314048,0.2693965,-0.07319544,0.15563075]', '10', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x69851be5ad457ad1b2dc234508e62251fcb4abd3bfdca6c0f2e0ee0073303e39', '[-0.33291554,0.21939182,-0.27468982,-0.14524715,0.38905823,0.32760856,-0.011063678,0.09787711,0.3248428,-0.17161444,0.20469204,0.4682795,0.029609568,-0.09406443,-0.22022985,-0.14731705]', '53', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x770fbd7c61082db7b208ed510803327e23a2381901ae139202775901fa48a6ef', '[-0.21513619,0.4222041,0.018924952,0.2352521,-0.2912993,-0.118078776,0.16037355,-0.40198794,0.08145945,0.15288977,-0.046591934,0.47511315,-0.2224048,0.27653378,0.13823478,0.17518178]', '9', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:01.959198+00'),
('1', E'\\x78745dc3550ca4938a8cb450d4da1742eb14a978d8f1e4d40637cd1bad9d9146', '[0.1630825,0.17871009,0.44634303,-0.14311612,0.09795018,-0.019994363,-0.15971619,-0.07838573,0.32194853,-0.23082474,0.45729738,-0.3950603,0.35513407,-0.10306021,0.14560962,0.0068298234]', '128', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x81da2c93cb3d66b98b539e113ba2c99ebcb71d9bae567cc0ac22a8cc534bfa9d', '[0.14819133,0.1020376,0.3395248,0.4093113,0.09789166,-0.0016688515,-0.06511589,-0.40381506,-0.43532604,0.15725462,-0.10947768,-0.28457865,-0.20295681,-0.2964387,-0.23782875,0.12281924]', '39', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x827ba9d51cffd03d50471e1915aedb754491759d164d80f5c4a0e6c9c9232946', '[-0.107909985,-0.44201386,0.06573568,-0.02414538,-0.0141362455,0.07702997,-0.2062793,0.15559395,0.10290686,0.115783654,0.6869956,0.27394673,0.12493371,0.32838157,0.08062266,0.11930037]', '51', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\x8293d3029563f9c67e7337e08cfe795103453e62e4de8c229b7a33b88e1615b1', '[-0.059994914,0.40024066,0.12641123,-0.00080157653,-0.35664734,-0.23583606,0.17454664,0.14917968,0.19947487,-0.33727235,-0.31014842,-0.3807656,-0.0057569076,0.40495747,-0.15057144,0.057251435]', '127', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x8772d33d00520255b67855d03eb22fed6b4f71e796fed6e85e083006395257ee', '[-0.19108094,0.29512432,-0.102287985,-0.064119615,0.0112444395,0.0010673446,-0.31449494,0.28175646,0.048860565,0.06691375,0.55076426,0.108242214,-0.30358496,0.33369476,-0.3545307,0.17962109]', '128', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x8aaac95da7d58022928d8f647d69e4771b2cb9b470b7de77ac5885288f303688', '[-0.18230772,0.43138263,0.21412769,-0.30848062,0.005351296,0.05239108,-0.25235367,-0.34181985,0.10602157,-0.24462065,0.47714952,0.07811814,-0.024787858,0.36283806,-0.058863338,0.12562089]', '111', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x8bac32510df87788d104e4269b0f284fb9e25c40d198afd4afecad8bd100e23f', '[-0.073419735,-0.018794267,0.35800228,0.2655059,-0.04035368,-0.19315432,0.4739892,-0.22591352,-0.15030567,-0.08754876,-0.60061026,-0.15862782,0.20734715,0.1365825,0.04576692,0.03260825]', '27', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x8d52ba39d597a599d967dbd2c8e8c14d2fc46b3fdcdc725b1c0d9ee5eafb0a54', '[-0.08065441,0.3243163,0.09549798,0.017899197,-0.11978206,-0.29503927,-0.18737382,0.37279248,0.32209852,0.37941387,0.24717982,-0.13375,-0.31590766,-0.3588753,-0.2064911,0.07401006]', '110', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x94790760dac247ab59800d014b782205819ca94779f69550350725064fb95320', '[-0.32900298,0.15949315,-0.13744962,-0.5022657,-0.104709566,0.23607492,0.06617519,-0.0007537666,0.0791635,0.3597529,0.29745993,0.19124691,0.23095356,0.18920033,-0.088796675,0.40781444]', '100', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x9636d28b8313a0658aec79e8271fd19eb4694e6627de1e1438915c846e12fb8e', '[-0.47851595,-0.115628615,0.18996297,-0.1635379,0.21198463,-0.31991878,0.07114536,0.003471329,-0.2441058,-0.066582166,-0.30092776,-0.19030853,0.2969269,0.03631936,0.33368352,-0.38837826]', '107', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x9aad5af84cabdcffd9215b1f432772278063edb4749d780e14f1eb3b85bd5ccf', '[-0.2065653,-0.23941825,-0.2976197,-0.32268062,0.120708644,0.16757478,0.20108908,0.16129616,0.26580653,-0.23115334,0.0918657,-0.13995923,0.25926206,0.58941966,0.11115707,-0.13821408]', '8', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:01.959198+00'),
('1', E'\\x9bcc8d2e9c5439b3bb70fe45bedbcec1117edb3f2de7e08d21a6ea8b3c3518bc', '[-0.46267003,-0.08786767,0.016508311,0.55947465,0.051892683,-0.27154627,0.14093402,-0.044452194,-0.10878822,-0.04481943,-0.19696371,0.23310968,0.34391618,-0.21393968,0.077769436,-0.29931188]', '126', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\x9d68ebeb214b6711e0fd6066118d7cf5038e2e0d24e7d233fc6e2e97b141cbe7', '[-0.13919319,0.1148126,0.31815505,-0.32104692,-0.18161379,0.09497843,0.24426755,-0.044290572,-0.3047993,-0.37187102,0.14022541,0.05605927,0.39172152,-0.18298255,0.46606037,-0.037144363]', '122', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xa32b3f5d02bbee88d7afa3ff4b2fbb6f75da805acfc057023755c8b20bba6700', '[0.3220895,-0.050475955,0.00013065813,0.7615027,0.336373,-0.022849407,-0.017191458,0.11753883,-0.035941675,-0.05032357,0.015877401,0.27998343,0.2419317,0.033842005,0.20385261,-0.048427057]', '123', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xa7036764e674966861273355d7c3c3b2bb176d4d404a0d4dc661e36712f4f549', '[-0.1884224,0.33682364,-0.28826612,0.22877917,0.15718575,0.22820644,0.1593644,0.30064285,-0.33331588,0.0067417165,-0.13547836,0.41432318,-0.41233838,0.2128051,0.042130694,-0.06923806]', '127', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xa8bd67ab0fbdd9fcd21a2b43320b09482743682fa4920f57bc49b4be5d353377', '[-0.09206529,-0.07771753,-0.3483376,0.057695944,-0.058055565,0.12784971,0.4033977,0.17945018,-0.2488918,0.14575168,-0.14961012,-0.49382463,-0.4701769,0.1788741,0.10422703,-0.18112376]', '102', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xac2cf6009e7a3848d8f270dd73d7d5a77782a5ed062d96c5c06fc82d57c4a0e5', '[0.058436494,-0.4169801,0.03182366,-0.10164934,-0.14755706,-0.28661516,-0.04140492,0.100620724,-0.28178725,-0.028215915,0.31823447,0.5140835,-0.11296466,-0.17210339,0.45479992,-0.02506855]', '127', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xac85555e5942ba732c7aff4e9530d894220aa7fffa3db0ef22a539570e12f71e', '[0.52423346,0.0035026919,0.37308225,0.06634557,0.1715814,0.032529436,0.3802545,0.09125086,0.06724407,-0.12598334,-0.025497416,0.094961286,0.41548344,0.3790008,0.14288585,-0.1772302]', '100', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xacb7e247f7169108bef5abf74d6f9a32894a04881c0225a89eb67829e05c1920', '[0.51045763,0.21610266,0.01347693,0.104450114,0.030148992,0.33892414,-0.33024082,-0.03815631,-0.016257297,0.10820735,0.30258968,-0.36205655,-0.028776752,0.08242526,0.42772946,-0.17365097]', '85', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xaed383747eeeb7086f331eb9bb6ec4bd0cdb39174b4f866d077c81cc59f8643a', '[0.08456753,0.49940565,0.023422131,0.22317566,-0.00023459957,-0.38466218,-0.2262697,-0.32126766,-0.13411985,0.15016711,-0.18965173,-0.26887283,-0.08613541,-0.2737695,-0.13218713,0.37692076]', '128', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xaee9efb5f6378df12c6ca58af07826c7574a458ce42b083388fa598d7e58fa86', '[-0.25135815,-0.03492302,0.2212511,-0.07034872,-0.19809972,-0.35262957,-0.2577588,0.081361055,-0.13130985,-0.3835471,-0.50734645,-0.28528196,-0.04933864,-0.33367562,-0.13371453,-0.101281516]', '127', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xb2fec23baf2970e27f343f4a937b3e9e9086228e9b0940d282b4b0f8016b15ed', '[-0.13229774,0.12789258,-0.39521927,-0.014652811,-0.5096167,0.13175905,-0.10553303,-0.105412126,-0.041512776,0.16014981,-0.38876522,0.21069184,0.13460907,0.12932965,0.50159043,0.032708857]', '94', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xb353e1fab4ed53017b02e4ed3b8af9cc357d0653f1bb024309212a5f11a819fc', '[-0.29632276,-0.07033615,0.24377231,0.24086574,0.3026202,-0.140567,-0.25186688,-0.11167472,0.17448926,-0.33419326,0.04631476,0.45812416,-0.37274015,-0.1422417,0.28480732,-0.09011444]', '128', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xb72d49854cceeece66703023c28e758b2b225df9ce8859043aeb5889af0bb131', '[-0.29550076,0.24515587,-0.111504994,0.5028679,0.16301079,-0.22876692,0.19744003,0.1225005,-0.2711911,-0.11054129,-0.07056178,-0.32133082,0.052925497,-0.26174337,-0.068545274,-0.42937988]', '55', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\xb8702c81b7923217dd437b19c4c7fc1430961b06ff8e076bdf669d38c81d386c', '[-0.118594475,-0.23324251,-0.219168,0.21853206,0.086047485,0.0022057556,-0.26321703,0.36800084,-0.21902357,-0.11470053,-0.60488105,-0.008927926,-0.16619816,0.36705542,-0.0700696,-0.17110217]', '127', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xbc203d88461d5eb03e650e686b43aa0aee0f4f9743ea55f8bee3e5ba22e3df73', '[0.2735595,0.5820589,-0.040095497,0.14879209,-0.3302187,0.13712838,0.026909253,-0.18221368,0.3113174,0.13844666,-0.060451865,0.21741262,0.35981882,0.050524175,0.25260663,0.19496228]', '112', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xbcdb56ddca98ed25fff0af89c62c38cbddc7a88ac56ecde6ede701bdb4dacefa', '[-0.26827115,-0.09193209,-0.3991255,-0.15097138,-0.30014062,-0.417776,0.16022986,-0.4777033,-0.23639652,0.24920778,-0.14076127,-0.12401057,0.07711964,-0.14644927,0.030074805,-0.1936772]', '127', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xbd154c8036cb7b2929818b378c7570f3d943a97762b6f35b70d3d1f418d0b69d', '[0.2652185,-0.25084656,0.32985926,-0.14147976,0.1254054,0.15232958,0.1127052,-0.13798167,-0.26585415,0.42525885,0.10498389,0.4987033,0.041253727,-0.24027595,0.3090004,-0.03276465]', '62', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\xbd3cee48e115bf3fe98a5aa8a5d01adb0dd5982842a1456b598b5db2cf4bbfbe', '[0.4897972,0.18271378,0.040002152,-0.16433282,-0.13240647,0.17454977,0.078871295,-0.26491228,0.32212543,-0.5030691,0.19713026,-0.004277472,-0.3704017,-0.14166656,-0.0968037,0.10654045]', '126', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xc0b35a5bcb2458d4998c062696cf0423ff3f567635dabdf9e4906ea6aabfb3ed', '[-0.14902817,0.27657667,0.34882957,-0.1890254,-0.021314876,-0.17483588,0.5733517,0.021807926,-0.108754374,0.23050767,-0.11547678,0.23582774,-0.13625415,-0.052336134,0.17967993,0.44289225]', '126', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xc19c67f10d2303642860f6fcf098ff7a5de98f0fcf360f8a1bd5ee34614a867a', '[0.027463527,0.3877378,0.0362963,-0.3205816,0.551807,-0.16408794,-0.28493002,-0.015555499,0.20708403,-0.017717455,0.08850742,-0.35386637,-0.19859928,-0.19724506,-0.16520171,-0.22378725]', '28', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xc4bd5ae042bdd2f1c589803e863ccaf00023c2d945acc1b01714a065084dc3cd', '[-0.5375841,0.2704746,-0.146707,-0.076256216,0.00041180136,-0.13440982,-0.2234161,0.3116508,0.19478983,0.07731355,-0.3507361,0.1359723,0.5024439,-0.065498985,0.055475947,0.012624318]', '53', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\xca1ea3f8447301262557918f78ae4fd30c9c9d40386017707229d581652602d8', '[-0.18773904,-0.3834355,0.10491688,-0.22061618,0.4059675,0.04788077,0.34954435,-0.3450159,-0.0117331715,-0.1495801,-0.29292327,0.129331,0.16825172,0.41304663,0.1147092,-0.11232126]', '128', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xcc162c83918ffb1c5c25dcda4925ccab49d9c128b15b9263fddf99f1a1874072', '[0.3572192,-0.0142592555,0.3203493,-0.06059545,0.41535842,0.28525054,0.12324157,0.025154531,0.15066211,-0.11795261,-0.45581275,0.11712831,-0.23503271,-0.059497193,0.37209713,0.20211667]', '119', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xdb5d047be4dce306807d3842bebeb05122e46abb78514715f511aab489dec73d', '[0.3371261,0.24229287,0.10694774,0.039167095,-0.31206736,-0.06276143,-0.11865872,0.029300505,-0.26329017,-0.2132089,-0.124080695,-0.63783664,-0.11127384,-0.21217582,-0.30327272,0.10962972]', '46', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xeaae63e411d84f42d451c467b0a290397f2fe4fc876bd0a40546832bddd99994', '[-0.18607369,0.21801871,-0.1984393,0.17053166,-0.49746415,-0.08675087,0.048339847,-0.23620674,0.23627631,0.4434502,0.16753042,0.06358972,0.43301183,0.2479398,0.051966254,-8.1698454e-05]', '104', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xec16a4b4a6d25523a2c2ba1046ad5f05c3e2fe50713f6e4ebb3bfbbe45598a27', '[-0.4626507,-0.06269582,-0.14804181,0.032484706,-0.16127034,0.21122403,0.042411096,-0.4681933,0.2385133,0.43378747,0.23026162,0.15681018,0.04298345,0.056257304,-0.06578535,0.36798698]', '128', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xed3fa7e482d4d1fb19efce73f1fa678fd537bf0183f29696e8005b8952e523d7', '[-0.2629085,0.26838115,-0.057835132,-0.13275406,0.19683589,0.057450924,0.15208909,-0.23994964,0.59133136,-0.013164981,0.3552129,-0.2826715,0.3752976,0.020034323,-0.04203376,-0.1272332]', '47', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('1', E'\\xf215db387a53614661059be05f4dbacb5f46d3e398f04bb87c2142a712e01b4e', '[-0.34067106,0.0058798445,0.4481959,0.062484078,-0.46882224,0.07289919,-0.118114464,-0.011847455,-0.16885771,-0.13238771,-0.24279222,-0.17644925,0.24525292,0.14457324,0.35245457,0.3138923]', '52', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-4', '2026-11-27 15:57:09.275187+00'),
('1', E'\\xf22d20ad7aafc0ccf8b01990583c067beda4293b7a7598738f18b183ae269a87', '[-0.19947389,0.17168136,-0.2335261,-0.38239482,0.16275948,0.2915752,-0.03182929,0.53133076,-0.060405344,0.30255115,0.06628576,-0.29722384,-0.057834886,0.13551009,-0.35018995,0.053670842]', '125', 'openai', 'real', 'text-embedding-3-small', 'v1 sdk 3.54.0', 'false', 'run-1', '2026-11-27 15:57:02.235501+00'),
('4', E'\\x22131e523ef7b1ee86097610280ae0c29fa5cf35bc48e02bb0588b287958d30f', '[-0.02819047,0.007162865,-0.051127315,-0.057381548,-0.04674864,-0.007587481,-0.02245332,-0.18509132,0.031917583,3.33128e-05,0.020550998,-0.019026998,-0.062596716,-0.05882453,0.052115675,0.057552766,-0.07476079,-0.02176918,-0.093784586,0.07775208,-0.027569773,-0.09899487,-0.01048643,0.04145999,0.05628443,0.11900117,0.040681303,-0.014248571,-0.00066588866,0.062416434,0.011392489,-0.010606699,-0.05419503,-0.045868423,0.03980668,-0.080417104,0.021997228,-0.07688007,0.022980934,-0.008985639,0.07987461,-0.10479032,-0.026853792,0.06641896,0.0254113,-0.08638049,-0.08058897,-0.024957169,0.069707036,-0.0042562005,0.17500784,0.10824958,-0.001722774,0.020514809,0.05643507,0.01421232,-0.05258818,0.13002868,-0.085193574,-0.02551387,0.00541529,0.097121514,-0.087641574,-0.02632936,0.038908865,0.011326843,0.096794754,0.020262022,0.028387407,-0.013586479,0.009645526,-0.0496978,0.057562564,-0.012970927,0.032844465,0.048993334,0.04156262,0.0027044606,-0.01384147,0.086403854,0.013734672,-0.04633321,-0.06567766,0.09686187,-0.11569046,-0.08419174,-0.027244361,-0.0030525306,-0.06329433,0.025609646,-0.14558773,0.025472537,0.005833415,0.07601394,-0.025221711,-0.056214374,0.0052898773,0.07552698,0.031821564,-0.009398497,-0.022734027,0.049857996,0.017051378,-0.108475305,0.025044369,-0.06440736,0.1047733,-0.113836706,0.020717625,-0.003864285,0.066857815,-0.03340882,-0.032247774,0.0034410167,0.025478905,-0.09711099,0.051117517,-0.1410077,-0.021601394,0.078475535,-0.0048072087,-0.04609806,-0.050115194,0.082258865,-0.10013764,0.0341613,0.020901823,0.030205404,-0.06058766,0.060273882,0.045166403,-0.015465469,0.035813224,-0.024216449,0.12865448,0.018404588,-0.0850711,-0.16000924,-0.08344489,-0.11115111,-0.068497,-0.09012975,-0.06884629,0.09471981,0.000629514,0.06276095,-0.01679847,-0.025739038,-0.022223558,-0.056198698,0.0065293093,-0.01397864,-0.063114725,-0.05766936,0.09757099,-0.07607468,-0.078265004,0.055987556,-0.005201696,-0.043386497,-0.05920273,0.033641033,-0.100560084,-0.06486394,0.04005399,-0.08707771,-0.056958523,-0.023880381,0.0066655,-0.03207925,-0.06970043,0.040492203,0.030970128,-0.04237119,-0.018953882,0.069051564,0.03982313,0.05477911,0.0061413134,0.1456808,-0.020396253,0.0013779498,0.086380094,0.013270253,-0.018122165,-0.067139015,-0.08597642,-0.07091316,-0.011446989,-0.005560299,-0.013252617,-0.08479284,0.020420901,-0.023250377,-0.057604205,-0.047227755,-0.07287764,0.043822993,-0.07698785,-0.12593807,0.05626471,-0.046946067,0.042134818,-0.02679721,-0.011557338,-0.031786293,-0.11641355,0.01693711,-0.004738991,0.06193242,-0.07106209,0.031828318,0.018058969,0.028999774,0.06683381,0.032211643,0.019587131,-0.0570614,-0.027618762,-0.025894826,-0.023517858,0.049310297,-0.12675717,0.074322335,-0.034282304,0.123534285,-0.07748705,-0.15690576,0.026166227,0.084728174,-0.09776622,0.031378515,-0.045549378,0.014693885,0.0077545345,0.055755835,-0.044930473,-0.03360821,0.005701388,-0.043663286,0.0052100243,0.1200128,0.05156234,0.050809495,-0.08004405,-0.04181014,-0.058654048,-0.0019595767,-0.016846664,-0.0048381947,0.05230857,-0.006423982,-0.18190946,-0.001166438,-0.026723726,-0.010874671]', '14', 'wordllama', 'local', 'l2_supercat_256', '0.4.0.post1', 'true', 'run-3', '2026-11-27 15:57:09.003781+00'),
('4', E'\\x71016f72e98d90ff1433ff130f8508401da02f0012a7ece6aca4b2630d2ec9c7', '[0.016720207,-0.10978781,-0.025697824,-0.03840092,-0.04035193,-0.0020711378,0.0065957075,-0.1204962,-0.0058200383,0.028913327,-0.045552,-0.038843405,-0.006995127,-0.07571691,0.05027823,0.021928273,-0.07771904,-0.062835515,-0.0678713,0.075113,-0.03617087,-0.05855699,0.034216337,-0.022835655,-0.0055228663,0.0588461,0.08828779,0.054962214,-0.056509525,0.09262902,0.03748548,-0.0330483,-0.08861669,0.025048453,0.04156765,-0.028769273,0.013095716,-0.05427469,0.037063897,-0.024155552,0.042562902,-0.050742876,-0.088132404,-0.03976555,-0.00838982,-0.015008092,-0.11858775,0.042176265,-0.015750116,0.021419555,0.09420252,0.10566089,0.0035798524,-0.016002964,0.031138841,0.09766785,-0.14818004,0.12380791,-0.12949346,-0.08631909,0.045334347,-0.029393837,-0.07262934,0.056712005,0.032428518,-0.058780372,0.076551005,0.061175127,0.018935397,0.0186415,0.03730113,-0.0033293338,0.08229146,0.014700948,0.016450234,0.066103145,0.044005636,-0.01951035,0.05429383,0.08735271,-0.018299751,-0.056652065,-0.07705167,0.12154839,-0.06955739,-0.035790086,0.028207794,-0.0098112095,-0.0065357694,0.015853813,-0.11437093,0.07703706,0.012537385,0.041724965,0.04457681,-0.045780607,0.023426222,0.10040976,0.051252604,0.012923457,-0.116816804,0.018032297,0.0508387,-0.081295185,0.01466418,-0.023834202,0.024779739,-0.028867994,-0.006345378,-0.10815852,0.085904874,0.055858266,-0.045235623,0.011407375,-0.07407491,-0.053876027,-0.052886546,-0.15142727,-0.035288926,0.026250236,0.0031123732,0.013207533,-0.05298426,0.13859272,-0.032996513,0.025806619,0.0050337915,-0.003767033,0.0015014742,0.023287456,0.002677696,-0.018360697,0.03401864,-0.064001784,0.07978055,0.019898688,-0.13171671,-0.18066648,-0.022643752,-0.11034652,-0.011167623,-0.094608486,-0.0055540944,0.033724237,-0.0039181374,0.09856604,0.043776207,0.024754932,-0.08387907,-0.12991756,0.071506634,-0.008053865,-0.066672,-0.11138108,0.12234597,-0.04830103,-0.09152948,0.11009115,0.051882204,-0.039256424,-0.040536277,0.008787225,-0.005305276,-0.058536842,-0.023813803,-0.08178375,0.009010356,-0.11879325,-0.0016812885,-0.036249947,-0.017691556,0.06211701,0.0108477855,-0.007937263,0.0032871505,0.100240655,-0.038458467,0.08817761,0.038304467,0.19885945,-0.03819013,0.020895222,0.029329367,0.072739646,-0.04732187,0.010323454,-0.07683962,-0.03345653,-0.0020702563,-0.016471388,-0.02726931,-0.0959372,0.03937797,-0.020191832,0.017164957,0.047569685,0.021403436,0.072891764,-0.051877167,-0.09464979,0.057194404,-0.057750594,0.029467376,0.016208466,-0.08631059,-0.014520126,-0.057099335,0.023901192,-0.021215815,0.031045912,0.03649474,0.030628754,-0.029262377,0.051288866,0.020713897,-0.03395908,0.0073408415,-0.04618003,-0.04414314,-0.065189466,0.07360699,0.00841299,-0.10467305,-7.958166e-05,-0.022739703,0.09761005,0.03831454,-0.16626824,0.020169921,0.04211179,0.007681141,0.0106533645,-0.016872823,-0.009830853,0.04050656,0.091663964,-0.027458018,-0.016268404,0.0004623795,-0.033500854,0.027953813,0.13822277,0.037564557,-0.008629447,-0.068101,-0.09394325,0.007938018,-0.09506281,0.09533757,-0.010349645,-0.012499735,0.06950349,-0.16351311,0.0718305,-0.04308289,-0.053210914]', '14', 'wordllama', 'local', 'l2_supercat_256', '0.4.0.post1', 'true', 'run-3', '2026-11-27 15:57:09.003781+00');
INSERT INTO tvdb.indexes (index_id, space_id, chunker, chunk_tokens, chunk_overlap_tokens, is_current, run_id, created_at, switched_at) OVERRIDING SYSTEM VALUE VALUES
('1', '1', '@CHUNKER_128@', '128', '0', 'true', 'run-1', '2026-11-27 15:56:57.774617+00', '2026-11-27 15:57:02.03684+00'),
('2', '4', '@CHUNKER_128@', '128', '0', 'false', 'run-3', '2026-11-27 15:57:08.35172+00', NULL),
('3', '1', '@CHUNKER_64@', '64', '0', 'false', 'run-4', '2026-11-27 15:57:09.116715+00', NULL);
INSERT INTO tvdb.publications (document_id, chunk_set_id, run_id, published_at, index_id) OVERRIDING SYSTEM VALUE VALUES
('2', '13', 'run-2', '2026-11-27 15:57:02.534901+00', '1'),
('5', '4', 'run-1', '2026-11-27 15:57:02.251231+00', '1'),
('5', '16', 'run-4', '2026-11-27 15:57:09.305336+00', '3'),
('7', '5', 'run-1', '2026-11-27 15:57:02.251231+00', '1'),
('8', '6', 'run-1', '2026-11-27 15:57:02.251231+00', '1'),
('9', '7', 'run-1', '2026-11-27 15:57:02.251231+00', '1'),
('10', '9', 'run-1', '2026-11-27 15:57:02.251231+00', '1'),
('11', '8', 'run-1', '2026-11-27 15:57:02.251231+00', '1'),
('11', '17', 'run-4', '2026-11-27 15:57:09.305336+00', '3'),
('12', '10', 'run-1', '2026-11-27 15:57:02.03684+00', '1'),
('13', '11', 'run-1', '2026-11-27 15:57:02.03684+00', '1'),
('15', '12', 'run-1', '2026-11-27 15:57:02.18488+00', '1'),
('16', '15', 'run-3', '2026-11-27 15:57:09.023969+00', '2'),
('17', '14', 'run-3', '2026-11-27 15:57:09.023969+00', '2');
INSERT INTO tvdb.document_events (event_id, document_id, happened_at, run_id, outcome, stage, code, message) OVERRIDING SYSTEM VALUE VALUES
('1', '12', '2026-11-27 15:57:02.03684+00', 'run-1', 'published', 'embeddings', NULL, NULL),
('2', '13', '2026-11-27 15:57:02.03684+00', 'run-1', 'published', 'embeddings', NULL, NULL),
('3', '14', '2026-11-27 15:57:02.112928+00', 'run-1', 'failed', 'parsed_documents', 'corrupt', 'The PDF is damaged: its pages can''t be found or read.'),
('4', '15', '2026-11-27 15:57:02.18488+00', 'run-1', 'published', 'embeddings', NULL, NULL),
('5', '2', '2026-11-27 15:57:02.251231+00', 'run-1', 'published', 'embeddings', NULL, NULL),
('7', '4', '2026-11-27 15:57:02.251231+00', 'run-1', 'published', 'embeddings', NULL, NULL),
('8', '5', '2026-11-27 15:57:02.251231+00', 'run-1', 'published', 'embeddings', NULL, NULL),
('9', '7', '2026-11-27 15:57:02.251231+00', 'run-1', 'published', 'embeddings', NULL, NULL),
('10', '8', '2026-11-27 15:57:02.251231+00', 'run-1', 'published', 'embeddings', NULL, NULL),
('11', '9', '2026-11-27 15:57:02.251231+00', 'run-1', 'published', 'embeddings', NULL, NULL),
('12', '10', '2026-11-27 15:57:02.251231+00', 'run-1', 'published', 'embeddings', NULL, NULL),
('13', '11', '2026-11-27 15:57:02.251231+00', 'run-1', 'published', 'embeddings', NULL, NULL),
('14', '1', '2026-11-27 15:57:02.285112+00', 'run-1', 'failed', 'parsed_documents', 'corrupt', 'The PDF is damaged: its pages can''t be found or read.'),
('15', '6', '2026-11-27 15:57:02.285112+00', 'run-1', 'failed', 'parsed_documents', 'members_failed', '1 of 3 documents inside of it failed: bad.pdf (corrupt).'),
('16', '2', '2026-11-27 15:57:02.534901+00', 'run-2', 'published', 'embeddings', NULL, NULL),
('17', '16', '2026-11-27 15:57:09.023969+00', 'run-3', 'degraded', 'embeddings', NULL, NULL),
('18', '17', '2026-11-27 15:57:09.023969+00', 'run-3', 'degraded', 'embeddings', NULL, NULL),
('19', '5', '2026-11-27 15:57:09.305336+00', 'run-4', 'published', 'embeddings', NULL, NULL),
('20', '11', '2026-11-27 15:57:09.305336+00', 'run-4', 'published', 'embeddings', NULL, NULL),
('21', '18', '2026-11-27 15:57:09.467985+00', 'run-5', 'deferred', 'embeddings', 'budget_exhausted', '$0.00000024 more would exceed today''s budget of $0.00 for all paid services; $0.00388714 are spent or reserved.');
INSERT INTO tvdb.budget_windows (scope, period, starts_at, spent_usd, requests) OVERRIDING SYSTEM VALUE VALUES
('', 'day', '2026-11-25 00:00:00+00', '0.0038871400', '12'),
('llamaparse', 'day', '2026-11-25 00:00:00+00', '0.0037500000', '4'),
('llamaparse', 'hour', '2026-11-25 12:00:00+00', '0.0000000000', '4'),
('openai', 'day', '2026-11-25 00:00:00+00', '0.0001371400', '8'),
('openai', 'hour', '2026-11-25 12:00:00+00', '0.0000000000', '8');
INSERT INTO tvdb.cost_ledger (entry_id, call_id, attempt, run_id, service, operation, model, purpose, documents, quantities, inputs, unit, quantity, unit_usd, price_version, reserved_usd, posted_usd, state, outcome, http_status, request_id, job_id, day, hour, reserved_at, lease_until, settled_at) OVERRIDING SYSTEM VALUE VALUES
('0601eb27-35c1-4f47-b519-34a253063ae5', '2dbc0796-0be9-4ee3-918b-f06d6ff0d9d3', '1', 'run-1', 'openai', 'embed', 'text-embedding-3-small', 'first', '{edited.md,forgotten.md,gone.md,handbook/underwriting-guidelines.md,mail/claim-acknowledgement.eml,notes/broker-notes.txt,policies/cyber-policy.md,table.md,policies/pet-policy.pdf}', '{10,10,12,483,245,262,431,498,3878}', '56', 'token', '5829', '0.00000002000000', 'genai-prices 0.2.3', '0.0001165800', '0.0001165800', 'posted', 'answered', '200', 'req_8d116ece1738f7d93d9c172411e20b8f', NULL, '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:03:01+00', '2026-11-25 12:00:00+00'),
('1cbbce05-a5a1-48cb-93d2-c4da5cb674df', 'db00e476-b79b-4b6a-ab9f-9e578591df22', '3', 'run-3', 'openai', 'embed', 'text-embedding-3-small', 'retry', '{outage.md}', '{14}', '1', 'token', '0', '0.00000002000000', 'genai-prices 0.2.3', '0.0000002800', NULL, 'voided', 'service_unavailable', '503', 'req_922766581e27a1c08a6a63ec24ede6a4', NULL, '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:03:01+00', '2026-11-25 12:00:00+00'),
('26351f67-5da3-4d16-91f4-478fbb77b7f4', 'a94f6658-4740-47d3-8e8b-755dd4669466', '3', 'run-3', 'llamaparse', 'parse', 'cost_effective', 'retry', '{outage.html}', '{2}', '1', 'page', '0', '0.00375000000000', 'llamaparse 2026-11-25', '0.0075000000', NULL, 'voided', 'service_unavailable', '503', 'req_0cb1e29c658cda1495e60af593bd04cf', NULL, '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:03:01+00', '2026-11-25 12:00:00+00'),
('34b3f8eb-d6da-420a-8749-f7d929adfd1b', '8b3cedb4-ac36-471b-82cd-e69bf8bbae44', '1', 'run-1', 'llamaparse', 'parse', 'cost_effective', 'first', '{policies/pet-policy.pdf}', '{2}', '1', 'page', '2', '0.00375000000000', 'llamaparse 2026-11-25', '0.0075000000', '0.0037500000', 'posted', 'answered', '200', 'req_6513270e269e0d37f2a74de452e6b438', 'pjb-d23f0824128b2f330c5c7fd0a6a3a450', '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:00:00+00', '2026-11-27 12:00:00+00', '2026-11-25 12:00:00+00'),
('396ed59f-29c1-4a34-b739-67bc4ed9ab80', 'a94f6658-4740-47d3-8e8b-755dd4669466', '1', 'run-3', 'llamaparse', 'parse', 'cost_effective', 'first', '{outage.html}', '{2}', '1', 'page', '0', '0.00375000000000', 'llamaparse 2026-11-25', '0.0075000000', NULL, 'voided', 'service_unavailable', '503', 'req_a170b33839263059f28c105d1fb17c23', NULL, '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:03:01+00', '2026-11-25 12:00:00+00'),
('4e0bcac9-23c8-46dc-a1ae-2b9015d4d8f9', '700805ec-b32d-4b24-9a09-9be741106069', '1', 'run-2', 'openai', 'embed', 'text-embedding-3-small', 'first', '{edited.md}', '{10}', '1', 'token', '10', '0.00000002000000', 'genai-prices 0.2.3', '0.0000002000', '0.0000002000', 'posted', 'answered', '200', 'req_90c192cfd3ac94af0f21ddb66cad4a26', NULL, '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:03:01+00', '2026-11-25 12:00:00+00'),
('4e0c0bb8-c8fc-4dba-8001-fcc17c07eea5', 'db00e476-b79b-4b6a-ab9f-9e578591df22', '2', 'run-3', 'openai', 'embed', 'text-embedding-3-small', 'retry', '{outage.md}', '{14}', '1', 'token', '0', '0.00000002000000', 'genai-prices 0.2.3', '0.0000002800', NULL, 'voided', 'service_unavailable', '503', 'req_6b4cb2424a23d5962217beaddbc496cb', NULL, '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:03:01+00', '2026-11-25 12:00:00+00'),
('613acd35-bd3f-4288-9ab1-3236594b7f84', '72da5363-12e6-4270-967f-9111c571fcb5', '1', 'run-1', 'openai', 'embed', 'text-embedding-3-small', 'first', '{mail/claim-acknowledgement.eml!/documents-we-need.txt}', '{65}', '1', 'token', '65', '0.00000002000000', 'genai-prices 0.2.3', '0.0000013000', '0.0000013000', 'posted', 'answered', '200', 'req_6b0d549b6f03675a1600a35a099950d8', NULL, '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:03:01+00', '2026-11-25 12:00:00+00'),
('64217a71-e96e-4f2d-ae9e-7651cbd9df3b', 'a94f6658-4740-47d3-8e8b-755dd4669466', '2', 'run-3', 'llamaparse', 'parse', 'cost_effective', 'retry', '{outage.html}', '{2}', '1', 'page', '0', '0.00375000000000', 'llamaparse 2026-11-25', '0.0075000000', NULL, 'voided', 'service_unavailable', '503', 'req_0fd630f1f29d0da9953f48f1a09f76b5', NULL, '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:03:01+00', '2026-11-25 12:00:00+00'),
('7b1247ea-b6e4-4815-a0d5-43dca1b939a8', 'db00e476-b79b-4b6a-ab9f-9e578591df22', '1', 'run-3', 'openai', 'embed', 'text-embedding-3-small', 'first', '{outage.md}', '{14}', '1', 'token', '0', '0.00000002000000', 'genai-prices 0.2.3', '0.0000002800', NULL, 'voided', 'service_unavailable', '503', 'req_8e81973e0becd7b03898d190f9ebdacc', NULL, '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:03:01+00', '2026-11-25 12:00:00+00'),
('8b5b5aea-1b0b-4256-9aa6-657bfec06aa1', '8a061958-4532-4e0b-9f9a-47b79c83d012', '1', 'run-4', 'openai', 'embed', 'text-embedding-3-small', 'first', '{handbook/underwriting-guidelines.md,table.md}', '{408,528}', '18', 'token', '936', '0.00000002000000', 'genai-prices 0.2.3', '0.0000187200', '0.0000187200', 'posted', 'answered', '200', 'req_ae97ba94d0eda82f8f6d05584ef8aa38', NULL, '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:06:40+00', '2026-11-25 12:09:41+00', '2026-11-25 12:06:40+00'),
('de9e613c-bc9a-4b30-ac06-bf96df414f35', 'bd47678a-fb1e-4290-bb5d-8491f5b8e1d7', '1', 'run-1', 'openai', 'embed', 'text-embedding-3-small', 'first', '{letters.zip!/one.md,letters.zip!/two.md}', '{9,8}', '2', 'token', '17', '0.00000002000000', 'genai-prices 0.2.3', '0.0000003400', '0.0000003400', 'posted', 'answered', '200', 'req_36f675cc81e74ef5e8e25d940ed90475', NULL, '2026-11-25 00:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:00:00+00', '2026-11-25 12:03:01+00', '2026-11-25 12:00:00+00');
INSERT INTO tvdb.service_states (service, state, updated_at) OVERRIDING SYSTEM VALUE VALUES
('llamaparse', '{"ratios": {}, "breaker": {"probe": "", "failures": 3, "open_until": 0.0, "probe_until": 0.0, "open_seconds": 0.0}, "limiter": {"last": 1795608000.0, "limits": {"tokens_per_minute": 0.0, "requests_per_minute": 0.0}, "tokens_due": 1795608000.0, "requests_due": 1795608000.0, "blocked_until": 0.0}, "refusal": null, "failed_at": 1795608000.0, "answered_at": 1795608000.0, "failed_code": "service_unavailable", "failed_message": "LlamaParse is not available: it answered with status 503."}', '2026-11-27 15:57:05.552064+00'),
('openai', '{"ratios": {}, "breaker": {"probe": "", "failures": 0, "open_until": 0.0, "probe_until": 0.0, "open_seconds": 0.0}, "limiter": {"last": 1795608400.0, "limits": {"tokens_per_minute": 10000000.0, "requests_per_minute": 10000.0}, "tokens_due": 1795608400.005616, "requests_due": 1795608400.006, "blocked_until": 0.0}, "refusal": null, "failed_at": 1795608000.0, "answered_at": 1795608400.0, "failed_code": "service_unavailable", "failed_message": "OpenAI is not available: it answered with status 503."}', '2026-11-27 15:57:09.292014+00');
INSERT INTO tvdb.text_claims (space_id, text_sha256, holder) OVERRIDING SYSTEM VALUE VALUES
('1', E'\\x7878787878787878787878787878787878787878787878787878787878787878', '8389643155837812741');
INSERT INTO tvdb.parse_jobs (service, job_id, entry_id, content_sha256, fingerprint, run_id, state, submitted_at) OVERRIDING SYSTEM VALUE VALUES
('llamaparse', 'pjb-d23f0824128b2f330c5c7fd0a6a3a450', '34b3f8eb-d6da-420a-8749-f7d929adfd1b', E'\\xefe4797904d6fdc216f8c2b20832b8fdba1648c780613eeac022e481db738c14', 'llamaparse1:cost_effective:2026-09-28', 'run-1', 'done', '2026-11-25 12:00:00+00');
INSERT INTO tvdb.limit_changes (change_id, scope, kind, value, changed_by, changed_at, run_ids) OVERRIDING SYSTEM VALUE VALUES
('1', 'openai', 'hourly_requests', '500.0000000000', 'operator', '2026-11-27 15:57:02.591143+00', '{run-1}');
INSERT INTO tvdb.budget_alerts (day, scope, threshold, noted_at, delivered_at, attempts, spent_usd, limit_usd, reached_at, told_at, next_attempt_at) OVERRIDING SYSTEM VALUE VALUES
('2026-11-25 00:00:00+00', '', '50', '2026-11-25 12:00:00+00', NULL, '0', '0.0038684200', '0.0045000000', '2026-11-25 12:02:26.93906+00', NULL, '2026-11-25 12:00:00+00'),
('2026-11-25 00:00:00+00', '', '80', '2026-11-25 12:00:00+00', NULL, '0', '0.0038684200', '0.0045000000', '2026-11-25 12:02:26.93906+00', NULL, '2026-11-25 12:00:00+00');
INSERT INTO tvdb.runs (run_id, root_run_id, parent_run_id, backfill_id, started_at, ended_at) OVERRIDING SYSTEM VALUE VALUES
('run-1', 'run-1', NULL, 'backfill-1', '2026-11-25 12:00:00+00', '2026-11-25 12:01:00+00');
INSERT INTO tvdb.service_events (event_id, happened_at, run_id, service, kind, document, part, request_id, code, http_status, seconds, message) OVERRIDING SYSTEM VALUE VALUES
('1', '2026-11-25 12:00:00+00', 'run-1', 'llamaparse', 'request', 'policies/pet-policy.pdf', '31a31a07-e876-4873-b4ec-3d5ef6a5cd08', 'req_9531985d5d9dc9f81818e811892f902b', NULL, '200', '0.0013442730000861047', 'poll: answered.'),
('2', '2026-11-25 12:06:40+00', 'run-5', 'openai', 'halted', NULL, NULL, NULL, 'budget_exhausted', NULL, NULL, '$0.00000024 more would exceed today''s budget of $0.00 for all paid services; $0.00388714 are spent or reserved. It goes on after 2026-11-26 00:00 UTC, or when the limit is raised by tvdb limits or TVDB_DAILY_COST_LIMIT.');
INSERT INTO tvdb.installation (is_only, salt) OVERRIDING SYSTEM VALUE VALUES
('true', E'\\xc5a28648c4e24e20be14dc36363f1c5e638f512546e5487baedc481e646888db');
INSERT INTO tvdb.former_texts (document_id, text_sha256, dropped_at) OVERRIDING SYSTEM VALUE VALUES
('2', E'\\x644e8f5a28813ca9a1e33bd99b5a95191f6ae18bf56baa0688906a9e2097896c', '2026-11-27 15:57:02.543579+00');
INSERT INTO tvdb.removed_partitions (partition_key, removed_at) OVERRIDING SYSTEM VALUE VALUES
('forgotten.md', '2026-11-27 15:57:02.651304+00');
INSERT INTO tvdb.forgotten_files (source, path, etag, forgotten_at) OVERRIDING SYSTEM VALUE VALUES
('@SOURCE@', 'forgotten.md', '18ebf20ce1d78e31-18ebf20ce1d78e31-2f-3025cb', '2026-11-27 15:57:02.630135+00');
SELECT setval(pg_get_serial_sequence('tvdb.chunk_sets', 'chunk_set_id'), (SELECT max(chunk_set_id) FROM tvdb.chunk_sets));
SELECT setval(pg_get_serial_sequence('tvdb.chunks', 'chunk_id'), (SELECT max(chunk_id) FROM tvdb.chunks));
SELECT setval(pg_get_serial_sequence('tvdb.document_events', 'event_id'), (SELECT max(event_id) FROM tvdb.document_events));
SELECT setval(pg_get_serial_sequence('tvdb.documents', 'document_id'), (SELECT max(document_id) FROM tvdb.documents));
SELECT setval(pg_get_serial_sequence('tvdb.indexes', 'index_id'), (SELECT max(index_id) FROM tvdb.indexes));
SELECT setval(pg_get_serial_sequence('tvdb.limit_changes', 'change_id'), (SELECT max(change_id) FROM tvdb.limit_changes));
SELECT setval(pg_get_serial_sequence('tvdb.parsed_documents', 'parsed_id'), (SELECT max(parsed_id) FROM tvdb.parsed_documents));
SELECT setval(pg_get_serial_sequence('tvdb.service_events', 'event_id'), (SELECT max(event_id) FROM tvdb.service_events));
SELECT setval(pg_get_serial_sequence('tvdb.vector_spaces', 'space_id'), (SELECT max(space_id) FROM tvdb.vector_spaces));
